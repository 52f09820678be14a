//! The CA as a configuration profile, the form in which iOS and iPadOS take one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::tls::local_ca::CaCertificate;

/// The profile as a property list. Its identifiers come from the certificate: installed again, it replaces itself.
pub(super) fn profile(certificate: &CaCertificate) -> String {
    let content = STANDARD.encode(&certificate.der);
    let name = escaped(&certificate.name);
    let (whole, inner) = (uuid(b"profile", certificate), uuid(b"payload", certificate));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>PayloadType</key><string>Configuration</string>
  <key>PayloadVersion</key><integer>1</integer>
  <key>PayloadIdentifier</key><string>latchkey.household-ca.{whole}</string>
  <key>PayloadUUID</key><string>{whole}</string>
  <key>PayloadDisplayName</key><string>{name}</string>
  <key>PayloadDescription</key><string>Lets this device reach your Latchkey server at home over HTTPS.</string>
  <key>PayloadContent</key>
  <array>
    <dict>
      <key>PayloadType</key><string>com.apple.security.root</string>
      <key>PayloadVersion</key><integer>1</integer>
      <key>PayloadIdentifier</key><string>latchkey.household-ca.{whole}.{inner}</string>
      <key>PayloadUUID</key><string>{inner}</string>
      <key>PayloadDisplayName</key><string>{name}</string>
      <key>PayloadCertificateFileName</key><string>latchkey-ca.crt</string>
      <key>PayloadContent</key><data>{content}</data>
    </dict>
  </array>
</dict>
</plist>
"#
    )
}

/// A version 8 UUID (RFC 9562) out of the certificate.
fn uuid(what: &[u8], certificate: &CaCertificate) -> String {
    let digest = Sha256::new().chain_update(what).chain_update(&certificate.der).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_profile_holds_the_certificate_and_stays_the_same() {
        let certificate = CaCertificate { der: vec![1, 2, 3].into(), name: "A & B".to_owned() };
        let text = profile(&certificate);
        assert!(text.contains("<data>AQID</data>") && text.contains("A &amp; B"));
        assert_eq!(text, profile(&certificate));
        let identifier = uuid(b"profile", &certificate);
        assert_eq!(identifier.len(), 36);
        assert_eq!(&identifier[14..15], "8");
    }
}
