//! What to do, as commands: the sentences of the household's core say it in words that hold in every face.

/// Returns the sentence with the command or flag behind each thing to do that it names.
pub(super) fn with_commands(sentence: &str) -> String {
    let mut told = sentence.to_owned();
    for (words, command) in COMMANDS {
        let Some(place) = told.find(words) else { continue };
        let end = place + words.len();
        // Part of a longer word or a possessive is another thing.
        let goes_on = told[end..].chars().next().is_some_and(|next| next.is_alphanumeric() || next == '\'');
        if !goes_on && !told.contains(command) {
            told.insert_str(end, &format!(" ({command})"));
        }
    }
    told
}

/// Words of the core, and what does it here.
const COMMANDS: [(&str, &str); 24] = [
    ("make a new invite", "`latchkey invite`"),
    ("ask for a new code", "`latchkey invite`"),
    ("invite another admin first", "`latchkey invite --role admin`"),
    ("no camera yet: invite one", "`latchkey invite --role camera --name NAME`"),
    ("list of devices", "`latchkey devices`"),
    ("where devices are added", "`latchkey devices add --code -`"),
    ("recover the household", "`latchkey recover`"),
    ("check the server", "`latchkey verify`"),
    ("renew the camera's group", "`latchkey camera renew NAME`"),
    ("watch a camera once", "`latchkey view`"),
    ("check that the camera is sending", "`latchkey camera`"),
    ("join again", "`latchkey join`"),
    ("have it join at", "`latchkey join --server`"),
    ("have it join as the other", "`latchkey join --as`"),
    ("join as a new device", "`latchkey join` with a new --home"),
    ("another device of the household shows", "`latchkey safety-number`"),
    ("name its CA", "--ca FILE"),
    ("trust the certificate of its install page", "--ca latchkey-ca.crt"),
    ("leave out cameras and days", "--cameras, --days"),
    ("uses only the cameras you name: say which", "--cameras"),
    ("from 1 to 30 days: say how many", "--days"),
    ("let it see, too", "--rights"),
    ("no rights, cameras or end of its own: leave them out", "--rights, --cameras, --days"),
    ("public address it was given", "--public-address"),
];

#[cfg(test)]
mod tests {
    use latchkey_e2ee::enrol::{NewDeviceError, TermsError};
    use latchkey_household::devices::DevicesError;
    use latchkey_household::enrol::{InviteError, JoinError};
    use latchkey_household::home::HomeError;
    use latchkey_household::story::Step;

    use super::*;

    #[test]
    fn each_thing_to_do_is_named_by_its_command() {
        for (said, command) in [
            (InviteError::TooLate.to_string(), "make a new invite (`latchkey invite`)"),
            (JoinError::Used.to_string(), "(`latchkey invite`)"),
            (HomeError::NotListed.to_string(), "(`latchkey join` with a new --home)"),
            (DevicesError::NotAdmin.to_string(), "(`latchkey devices`)"),
            (DevicesError::LastAdmin("Ada".to_owned()).to_string(), "(`latchkey invite --role admin`)"),
            (NewDeviceError::Expired.to_string(), "join again (`latchkey join`)"),
            (TermsError::GuestWithoutCameras.to_string(), "say which (--cameras)"),
            (Step::Ice.advice().to_owned(), "(--public-address)"),
        ] {
            assert!(with_commands(&said).contains(command), "{said}");
        }
    }

    #[test]
    fn what_only_sounds_alike_is_left_alone() {
        for said in
            ["check the server's address", "join againward", "run `latchkey verify` and check the server"]
        {
            assert_eq!(with_commands(said), said);
        }
    }
}
