//! A grant opens one door for a minute; everything else is refused, each for its reason.

use super::*;
use proptest::prelude::*;

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn at(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.as_secs().checked_add_signed(seconds).unwrap())
}

fn grant() -> Grant {
    Grant {
        audience: "relay.example".to_owned(),
        room: RoomId::new([1; 16]),
        scopes: vec![Scope::View, Scope::Talk],
        device: DeviceHandle::new([2; 16]),
        token_id: [3; 16],
        issued_at: at(0),
        expires_at: at(60),
        session_expires_at: at(3600),
    }
}

fn signer() -> GrantSigner {
    GrantSigner::from_seed("k1", &[9; 32]).unwrap()
}

fn verifier() -> GrantVerifier {
    let mut verifier = GrantVerifier::new("relay.example");
    verifier.add_key("k0", &[0x58; 32]);
    verifier.add_key("k1", &signer().public_key());
    verifier
}

fn verify(token: &str, now: SystemTime) -> Result<Grant, GrantError> {
    verifier().verify(token, &RoomId::new([1; 16]), Scope::View, now)
}

/// Signs any header and claims with the key of [`signer`], as a signaling gone wrong would.
fn sign_any(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn claims_with(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut claims = serde_json::to_value(Claims::from_grant(&grant()).unwrap()).unwrap();
    change(&mut claims);
    claims.to_string()
}

const HEADER: &str = r#"{"typ":"JWT","alg":"EdDSA","kid":"k1"}"#;

#[test]
fn a_grant_opens_its_door_for_its_minute() {
    let token = signer().sign(&grant()).unwrap();
    assert_eq!(verify(&token, at(0)), Ok(grant()));
    assert_eq!(verify(&token, at(59)), Ok(grant()));
    assert_eq!(verify(&token, at(-5)), Ok(grant()), "clocks differ");
    assert_eq!(verify(&token, at(-6)), Err(GrantError::NotYet));
    assert_eq!(verify(&token, at(60)), Err(GrantError::Expired));
    assert_eq!(verify(&sign_any(HEADER, &claims_with(|_| {})), at(0)), Ok(grant()));
}

#[test]
fn the_vector_of_the_wire_document_holds() {
    // Ed25519 signatures are the same each time, so the token is too.
    let document = include_str!("../../../docs/wire.md");
    let vector: Vec<_> = document.lines().filter_map(|line| line.strip_prefix("    grant ")).collect();
    assert_eq!(vector, [signer().sign(&grant()).unwrap()]);
}

#[test]
fn other_doors_stay_shut() {
    let token = signer().sign(&grant()).unwrap();
    let verifier = verifier();
    let other_room = verifier.verify(&token, &RoomId::new([4; 16]), Scope::View, at(0));
    assert_eq!(other_room, Err(GrantError::Room));
    let publish = verifier.verify(&token, &RoomId::new([1; 16]), Scope::Publish, at(0));
    assert_eq!(publish, Err(GrantError::Scope));
    let elsewhere = GrantVerifier { audience: "relay.other".to_owned(), ..verifier };
    let elsewhere = elsewhere.verify(&token, &RoomId::new([1; 16]), Scope::View, at(0));
    assert_eq!(elsewhere, Err(GrantError::Audience));
    let over = Grant { session_expires_at: at(-1), ..grant() };
    assert_eq!(verify(&signer().sign(&over).unwrap(), at(0)), Err(GrantError::Expired));
}

#[test]
fn other_keys_and_algorithms_are_refused() {
    let claims = claims_with(|_| {});
    for (header, want) in [
        (r#"{"alg":"none"}"#, GrantError::Algorithm),
        (r#"{"alg":"none","kid":"k1"}"#, GrantError::Algorithm),
        (r#"{"alg":"NONE","kid":"k1"}"#, GrantError::Algorithm),
        (r#"{"alg":"HS256","kid":"k1"}"#, GrantError::Algorithm),
        (r#"{"alg":"RS256","kid":"k1"}"#, GrantError::Algorithm),
        (r#"{"alg":"eddsa","kid":"k1"}"#, GrantError::Algorithm),
        (r#"{"alg":"EdDSA"}"#, GrantError::UnknownKey),
        (r#"{"alg":"EdDSA","kid":"k2"}"#, GrantError::UnknownKey),
        (r#"{"alg":"EdDSA","kid":"k0"}"#, GrantError::Signature),
        (r#"{"alg":"EdDSA","kid":"k1","crit":["b64"],"b64":false}"#, GrantError::Malformed),
        (r#"{"kid":"k1"}"#, GrantError::Malformed),
        (r#"{"alg":"EdDSA","kid":"k1","alg":"none"}"#, GrantError::Malformed),
        ("[]", GrantError::Malformed),
    ] {
        assert_eq!(verify(&sign_any(header, &claims), at(0)), Err(want), "{header}");
    }
    // Unsigned, as `alg: none` has it; and signed with HMAC under the public key.
    let unsigned =
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(&claims));
    assert_eq!(verify(&unsigned, at(0)), Err(GrantError::Algorithm));
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("k1".to_owned());
    let key = EncodingKey::from_secret(&signer().public_key());
    let confused = jsonwebtoken::encode(&header, &Claims::from_grant(&grant()).unwrap(), &key).unwrap();
    assert_eq!(verify(&confused, at(0)), Err(GrantError::Algorithm));
    // A key id that was given a new key is the new key's.
    let mut replaced = verifier();
    replaced.add_key("k1", &[0x58; 32]);
    let token = signer().sign(&grant()).unwrap();
    let replaced = replaced.verify(&token, &RoomId::new([1; 16]), Scope::View, at(0));
    assert_eq!(replaced, Err(GrantError::Signature));
}

#[test]
fn impossible_claims_are_refused() {
    let refusal = |claims: &str| verify(&sign_any(HEADER, claims), at(0)).unwrap_err();
    let with = |change: fn(&mut serde_json::Value)| refusal(&claims_with(change));
    assert_eq!(with(|claims| claims["exp"] = (NOW.as_secs() + 61).into()), GrantError::Lifetime);
    assert_eq!(with(|claims| claims["exp"] = claims["iat"].clone()), GrantError::Lifetime);
    assert_eq!(with(|claims| claims["exp"] = 0.into()), GrantError::Lifetime);
    assert_eq!(with(|claims| claims["exp"] = u64::MAX.into()), GrantError::Malformed);
    assert_eq!(with(|claims| claims["session_exp"] = u64::MAX.into()), GrantError::Malformed);
    assert_eq!(with(|claims| claims["iat"] = (-1).into()), GrantError::Malformed);
    assert_eq!(with(|claims| claims["room"] = "short".into()), GrantError::Malformed);
    assert_eq!(with(|claims| claims["jti"] = "AAAA".into()), GrantError::Malformed);
    assert_eq!(with(|claims| claims["scope"] = serde_json::json!(["all"])), GrantError::Malformed);
    assert_eq!(with(|claims| claims["aud"] = serde_json::json!(["relay.example"])), GrantError::Malformed);
    for claim in ["aud", "room", "scope", "sub", "jti", "iat", "exp", "session_exp"] {
        let claims = claims_with(|claims| {
            claims.as_object_mut().unwrap().remove(claim);
        });
        assert_eq!(refusal(&claims), GrantError::Malformed, "{claim}");
    }
}

#[test]
fn impossible_times_are_not_signed() {
    let sign = |grant| signer().sign(&grant);
    assert_eq!(sign(Grant { expires_at: at(61), ..grant() }), Err(SignError::Time));
    assert_eq!(sign(Grant { expires_at: at(0), ..grant() }), Err(SignError::Time));
    let before_1970 = UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(sign(Grant { session_expires_at: before_1970, ..grant() }), Err(SignError::Time));
}

proptest! {
    #[test]
    fn any_changed_character_is_refused(at_byte in 0usize..1000, with in "[A-Za-z0-9._=+/ -]") {
        let token = signer().sign(&grant()).unwrap();
        let at_byte = at_byte % token.len();
        let changed = format!("{}{}{}", &token[..at_byte], with, &token[at_byte + 1..]);
        if changed != token {
            prop_assert!(verify(&changed, at(0)).is_err(), "{}", changed);
        }
        prop_assert!(verify(&token[..at_byte], at(0)).is_err());
    }

    #[test]
    fn any_text_is_refused_without_panic(text in "\\PC{0,80}", header in "\\PC{0,40}", claims in "\\PC{0,40}") {
        prop_assert!(verify(&text, at(0)).is_err());
        prop_assert!(verify(&sign_any(&header, &claims), at(0)).is_err());
        prop_assert_eq!(verify(&sign_any(HEADER, &claims), at(0)), Err(GrantError::Malformed));
    }
}
