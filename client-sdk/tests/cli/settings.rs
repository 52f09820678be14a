//! What is said wrongly on the command line, in the environment and in the settings file.

use std::path::Path;
use std::process::Stdio;

use crate::program::{dead_address, latchkey, refused, refused_by, refused_with, run};

#[test]
fn a_word_that_is_not_known_is_named_with_the_nearest_one() {
    let nowhere = Path::new("/nonexistent/home");
    for (words, said) in [
        (&["view", "door", "--frmaes", "3"][..], "'--frames'"),
        (&["veiw", "door"], "'view'"),
        (&["camera", "--source", "a.mp4", "--password", "x"], "'--password-file'"),
        (&["invite", "--role", "cat", "--name", "x"], "camera, viewer, admin"),
        (&["invite", "--role", "camera"], "--name <NAME>"),
        (&["view"], "<CAMERA>"),
        (&["view", "door", "--frames", "many"], "many"),
        (&["view", "door", "--duration", "0"], "above 0"),
        (&["camera", "--duration", "soon"], "like 20"),
        (&["--log", "[[", "devices"], "latchkey=debug"),
    ] {
        let sentence = refused(nowhere, words);
        assert!(sentence.contains(said), "{said} is not in: {sentence}");
    }
    for words in [
        &["household", "create", "--name", "Ada"][..],
        &["household", "create", "--name", "Ada", "--server", ""],
    ] {
        let sentence = refused(nowhere, words);
        assert!(sentence.contains("no server is named") && sentence.contains("--server URL"), "{sentence}");
    }
}

#[test]
fn a_settings_file_is_read_as_a_whole_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let file = dir.path().join("config.toml");
    for (text, said) in [
        ("hoem = \"/x\"\n", "\"hoem\": did you mean \"home\"?"),
        ("[camera]\nfsp = 25\n", "\"fsp\" in [camera]: did you mean \"fps\"?"),
        ("source = [\"a.mp4\"]\n", "it belongs under [camera]"),
        ("json = 3\n", "\"json\""),
        ("[camera]\nsource_transport = \"pigeon\"\n", "camera.source_transport"),
        ("home = \n", "line 1"),
        ("\u{0}", "line 1"),
    ] {
        std::fs::write(&file, text).unwrap();
        let sentence = refused(&home, &["--config", file.to_str().unwrap(), "devices"]);
        assert!(sentence.contains(said), "{said} is not in: {sentence}");
        assert!(sentence.contains("config.toml"), "{sentence}");
    }
    std::fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    for path in
        [file.as_path(), dir.path(), Path::new("/nonexistent/config.toml"), Path::new("/proc/self/mem")]
    {
        let path = path.to_str().unwrap();
        let sentence = refused(&home, &["--config", path, "devices"]);
        assert!(sentence.contains(path), "{sentence}");
    }
    // The same by the environment.
    let mut command = latchkey(&home, &["devices"]);
    let sentence = refused_by(2, &home, command.env("LATCHKEY_CONFIG", "/nonexistent/c.toml"));
    assert!(sentence.contains("/nonexistent/c.toml"), "{sentence}");
}

#[test]
fn a_variable_that_looks_like_a_slip_is_refused_and_foreign_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    for (name, value, said) in [
        ("LATCHKEY_HOEM", "/x", "did you mean LATCHKEY_HOME?"),
        ("LATCHKEY_SOURCE_PASWORD", "x", "did you mean LATCHKEY_SOURCE_PASSWORD?"),
        ("LATCHKEY_JSON", "maybe", "write true or false"),
        ("LATCHKEY_LOG", "[[", "latchkey=debug"),
    ] {
        let sentence = refused_by(2, &home, latchkey(&home, &["devices"]).env(name, value));
        assert!(sentence.contains(said), "{said} is not in: {sentence}");
    }
    // What a container runtime sets for a service of this name, and other programs' variables.
    let mut command = latchkey(&home, &["devices"]);
    for name in
        ["LATCHKEY_SERVICE_HOST", "LATCHKEY_PORT_9601_TCP", "LATCHKEY_SERVER_LISTEN", "LATCHKEY_RELAY_OPS"]
    {
        command.env(name, "10.0.0.1");
    }
    let sentence = refused_by(2, &home, &mut command);
    assert!(sentence.contains("there is no device in"), "{sentence}");
}

#[test]
fn flags_beat_variables_and_variables_beat_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (flag, variable, file) =
        (dir.path().join("flag"), dir.path().join("variable"), dir.path().join("file"));
    let config = dir.path().join("config.toml");
    std::fs::write(&config, format!("home = {:?}\n", file.to_str().unwrap())).unwrap();
    let config = config.to_str().unwrap();
    let said = |home: Option<&Path>, set: bool| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_latchkey"));
        command.args(["--config", config, "devices"]);
        if let Some(home) = home {
            command.arg("--home").arg(home);
        }
        match set {
            true => command.env("LATCHKEY_HOME", &variable),
            false => command.env_remove("LATCHKEY_HOME"),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        refused_by(2, dir.path(), command.stderr(Stdio::piped()))
    };
    assert!(said(Some(&flag), true).contains(flag.to_str().unwrap()));
    assert!(said(None, true).contains(variable.to_str().unwrap()));
    assert!(said(None, false).contains(file.to_str().unwrap()));
}

#[test]
fn servers_that_are_none_and_servers_that_are_silent_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let create = |code, server: &str| {
        refused_with(code, &home, &["household", "create", "--name", "Ada", "--server", server])
    };
    for address in ["cam.example.org", "ftp://cam.example.org", "http://", "https://cam.example.org:99999"] {
        let sentence = create(2, address);
        assert!(sentence.contains("write it like https://cam.example.org"), "{sentence}");
    }
    // Trying again may help: another code than for what must be changed.
    let dead = dead_address();
    let sentence = create(1, &format!("http://{dead}"));
    assert!(
        sentence.contains(&dead) && sentence.contains("check the address and that it runs"),
        "{sentence}"
    );
    assert!(!home.exists(), "nothing is left of a household that was not made");
}

#[test]
fn help_teaches_every_command() {
    let home = Path::new("/nonexistent/home");
    let commands: [&[&str]; 9] = [
        &[],
        &["household"],
        &["household", "create"],
        &["invite"],
        &["join"],
        &["camera"],
        &["view"],
        &["devices"],
        &["doctor"],
    ];
    for words in commands {
        let mut command = latchkey(home, words);
        let output = run(command.arg("--help").env("COLUMNS", "80"));
        let help = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert!(output.stderr.is_empty(), "{words:?}");
        let teaches =
            ["Example", "Commands:", "From nothing", "Options:"].iter().any(|word| help.contains(word));
        assert!(teaches && help.contains("--json"), "{help}");
        let longest = help.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= 80, "{longest} columns:\n{help}");
    }
    // Nothing said: the same help, where errors go.
    let mut nothing = std::process::Command::new(env!("CARGO_BIN_EXE_latchkey"));
    let output = run(nothing.stdout(Stdio::piped()).stderr(Stdio::piped()));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("From nothing to a picture"));
}
