//! The page itself: plain HTML without a script, with the reader's own system opened first.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use qrcode::QrCode;
use qrcode::render::svg;

/// What stands on the page.
pub(super) struct Page<'a> {
    /// The CA's name, as devices show it.
    pub(super) ca: &'a str,
    pub(super) fingerprint: &'a str,
    /// Address of this page for other devices.
    pub(super) here: &'a str,
    /// Address of the server.
    pub(super) server: &'a str,
    /// What the reader holds in hand.
    pub(super) platform: Option<Platform>,
}

/// Systems that take a CA each in their own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    Android,
    Ios,
    Windows,
    MacOs,
    Linux,
}

impl Platform {
    /// By what the browser says of itself.
    pub(super) fn of(agent: &str) -> Option<Self> {
        let marks = [
            ("Android", Self::Android),
            ("iPhone", Self::Ios),
            ("iPad", Self::Ios),
            ("Windows", Self::Windows),
            ("Macintosh", Self::MacOs),
            ("Linux", Self::Linux),
        ];
        marks.into_iter().find(|(mark, _)| agent.contains(mark)).map(|(_, platform)| platform)
    }
}

impl Page<'_> {
    pub(super) fn markup(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { "Trust this Latchkey server" }
                    link rel="stylesheet" href="/style.css";
                }
                body {
                    main {
                        h1 { "Trust this Latchkey server" }
                        p.lead {
                            "Browsers keep keys only for pages that came over HTTPS. At home there is no public "
                            "authority to vouch for your server, so it has one of its own. Do this once on each device."
                        }
                        (self.meaning())
                        (self.comparison())
                        (self.steps())
                        (self.onwards())
                        (self.elsewhere())
                    }
                }
            }
        }
    }

    fn meaning(&self) -> Markup {
        html! {
            section.note aria-labelledby="meaning" {
                h2 #meaning { "What you agree to" }
                ul {
                    li { "This device will believe certificates signed by a key that lies on your Latchkey server." }
                    li {
                        "The authority is limited to home networks: names like " code { ".local" } " and private "
                        "addresses like " code { "192.168.1.5" } ". It cannot speak for a bank or a mail service, as far as "
                        "your device checks that limit; current systems do, very old ones may not."
                    }
                    li {
                        "It makes no difference to who can see your cameras: their pictures are encrypted between your "
                        "devices, and this server has no key to them."
                    }
                    li { "Is this not your server or not your network? Then close this page and install nothing." }
                }
            }
        }
    }

    fn comparison(&self) -> Markup {
        html! {
            section aria-labelledby="compare" {
                h2 #compare { "1. Compare" }
                p {
                    "This page came without encryption, so it proves nothing by itself. The server wrote a fingerprint where "
                    "it was started, as " code { "household CA" } ". That one, the one that your device shows before you agree, "
                    "and this one must be the same:"
                }
                p.fingerprint aria-label="SHA-256 fingerprint" {
                    @for part in quarters(self.fingerprint) { span { (part) } " " }
                }
                p.small { "SHA-256 of " (self.ca) }
            }
        }
    }

    fn steps(&self) -> Markup {
        html! {
            section aria-labelledby="install" {
                h2 #install { "2. Install on this device" }
                (self.system(Platform::Android, "Android", &html! {
                    p { a.button href="/latchkey-ca.crt" { "Download the certificate" } }
                    ol {
                        li { "Open Settings and search for " b { "CA certificate" } " (mostly under Security & privacy, More security settings, Encryption & credentials, Install a certificate)." }
                        li { "Choose " b { "CA certificate" } ", then " b { "Install anyway" } ", and pick " code { "latchkey-ca.crt" } " from Downloads." }
                        li { "To compare: Trusted credentials, tab " b { "User" } ", open " b { (self.ca) } "." }
                    }
                    p.small { "Android then says that your network may be monitored. It says so of every authority that a person installs. Chrome uses it; Firefox for Android only after Settings, About Firefox, five taps on the logo, then Secret settings, Use third party CA certificates." }
                }))
                (self.system(Platform::Ios, "iPhone and iPad", &html! {
                    p { a.button href="/latchkey-ca.mobileconfig" { "Download the profile" } }
                    ol {
                        li { "Open this page in Safari and allow the download." }
                        li { "Settings, General, " b { "VPN & Device Management" } ": open the profile. More Details shows the certificate to compare. Then " b { "Install" } "." }
                        li { "Settings, General, About, " b { "Certificate Trust Settings" } ": switch on " b { (self.ca) } ". Without this step it does not count." }
                    }
                }))
                (self.system(Platform::Windows, "Windows", &html! {
                    p { a.button href="/latchkey-ca.crt" { "Download the certificate" } }
                    ol {
                        li { "To compare, in a terminal: " code { "certutil -hashfile latchkey-ca.crt SHA256" } }
                        li { "Open the file, " b { "Install Certificate" } ", Current User, " b { "Place all certificates in the following store" } ", Browse, " b { "Trusted Root Certification Authorities" } "." }
                        li { "Agree to the warning. Edge and Chrome use it at once, Firefox after a restart." }
                    }
                }))
                (self.system(Platform::MacOs, "macOS", &html! {
                    p { a.button href="/latchkey-ca.crt" { "Download the certificate" } }
                    ol {
                        li { "Open the file; Keychain Access adds it to your login keychain." }
                        li { "Double-click " b { (self.ca) } ". The details show SHA-256 to compare." }
                        li { "Under Trust, " b { "When using this certificate: Always Trust" } "." }
                    }
                }))
                (self.system(Platform::Linux, "Linux", &html! {
                    p { a.button href="/latchkey-ca.pem" { "Download the certificate" } }
                    ol {
                        li { "To compare: " code { "openssl x509 -in latchkey-ca.pem -noout -fingerprint -sha256" } }
                        li { "Chrome and Chromium: Settings, Privacy and security, Security, Manage certificates, your own: import it under trusted certificates." }
                        li { "For programs of the system: copy it to " code { "/usr/local/share/ca-certificates/latchkey-ca.crt" } " and run " code { "sudo update-ca-certificates" } " (Debian, Ubuntu)." }
                        li { "For " code { "latchkey" } " alone: " code { "latchkey --ca latchkey-ca.pem …" } }
                    }
                }))
                details {
                    summary { "Firefox on any computer" }
                    p { a.button href="/latchkey-ca.pem" { "Download the certificate" } }
                    ol {
                        li { "Settings, Privacy & Security, Certificates, " b { "View Certificates" } ", tab " b { "Authorities" } ", " b { "Import" } "." }
                        li { "Tick " b { "Trust this CA to identify websites" } ". " b { "View" } " shows the fingerprint to compare." }
                    }
                }
            }
        }
    }

    fn system(&self, platform: Platform, name: &str, steps: &Markup) -> Markup {
        html! {
            details open[self.platform == Some(platform)] {
                summary { (name) }
                (steps)
            }
        }
    }

    fn onwards(&self) -> Markup {
        html! {
            section aria-labelledby="open" {
                h2 #open { "3. Open your cameras" }
                p { a.button.main href=(self.server) { (self.server) } }
                p.small { "Does the browser still warn? Then the authority is not trusted yet: close the browser wholly and try again, or repeat step 2. To take trust back later, remove it in the same place." }
            }
        }
    }

    fn elsewhere(&self) -> Markup {
        let code = QrCode::new(self.here.as_bytes()).ok().map(|code| {
            let mut drawing = code.render::<svg::Color<'_>>();
            drawing.min_dimensions(180, 180).quiet_zone(true).build()
        });
        html! {
            section.qr aria-labelledby="other" {
                h2 #other { "Another device" }
                p { "In the same network, open " code { (self.here) } }
                @if let Some(code) = code {
                    div role="img" aria-label={ "QR code of " (self.here) } { (PreEscaped(without_prolog(&code))) }
                }
            }
        }
    }
}

/// The fingerprint in lines of eight bytes, which no screen is too narrow for.
fn quarters(fingerprint: &str) -> impl Iterator<Item = &str> {
    let ends = [23, 47, 71, 95].map(|end: usize| end.min(fingerprint.len()));
    let starts = [0, 24, 48, 72].map(|start: usize| start.min(fingerprint.len()));
    starts.into_iter().zip(ends).filter_map(|(start, end)| fingerprint.get(start..end))
}

/// An SVG that stands inside HTML has no XML prolog.
fn without_prolog(svg: &str) -> &str {
    svg.find("<svg").map_or("", |start| &svg[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readers_own_system_is_open() {
        let agent = "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36";
        assert_eq!(Platform::of(agent), Some(Platform::Android));
        assert_eq!(Platform::of("curl/8"), None);
        let page = Page {
            ca: "Latchkey household CA on <nas>",
            fingerprint: &["AB"; 32].join(":"),
            here: "http://192.168.1.5:9603",
            server: "https://192.168.1.5:9601",
            platform: Platform::of(agent),
        };
        let text = page.markup().into_string();
        assert!(text.contains("<details open><summary>Android"), "{text}");
        assert_eq!(text.matches("<details open>").count(), 1);
        assert!(!text.contains("<nas>") && !text.contains("<script") && !text.contains("<?xml"));
        let lines: Vec<&str> = quarters(page.fingerprint).collect();
        assert_eq!(lines.join(":"), page.fingerprint);
        assert!(lines.iter().all(|line| line.len() == 23));
    }
}
