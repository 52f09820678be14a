//! Looks for known plaintext in what a server saw or holds: every 16-byte window of every secret, at every offset.

use std::collections::{HashMap, HashSet};

/// Length of a window in bytes.
pub const WINDOW: usize = 16;
/// A window with fewer distinct bytes than this says nothing (zero runs, padding) and is not searched.
const MIN_DISTINCT: usize = 6;
/// Bits of the filter that spares most lookups; 2^25 bits are 4 MiB.
const FILTER_BITS: u32 = 25;

/// What is searched for.
pub struct Needles {
    filter: Vec<u64>,
    /// Head of a window to the windows that begin with it: tail and index of its secret.
    windows: HashMap<u64, Vec<(u64, u32)>>,
    names: Vec<String>,
    count: usize,
    left_out: usize,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Bytes searched.
    pub bytes: usize,
    /// Windows of the haystack that belong to a secret.
    pub hits: usize,
    /// Distinct windows of the secrets that were seen.
    pub seen: usize,
    /// Name of each secret that was hit, with an offset of one hit.
    pub secrets: Vec<(String, usize)>,
}

impl Default for Needles {
    fn default() -> Self {
        Self::new()
    }
}

impl Needles {
    /// Returns an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self {
            filter: vec![0; 1 << (FILTER_BITS - 6)],
            windows: HashMap::new(),
            names: Vec::new(),
            count: 0,
            left_out: 0,
        }
    }

    /// Adds every window of `secret`; one shorter than a window is refused.
    ///
    /// # Panics
    /// When `secret` is shorter than [`WINDOW`]: it would be searched for nothing.
    pub fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= WINDOW, "{name} has {} bytes, a window {WINDOW}", secret.len());
        let index = u32::try_from(self.names.len()).expect("fewer than 2^32 secrets");
        self.names.push(name.to_owned());
        for window in secret.windows(WINDOW) {
            if distinct(window) < MIN_DISTINCT {
                self.left_out += 1;
                continue;
            }
            let (head, tail) = split(window);
            let bit = slot(head);
            self.filter[(bit >> 6) as usize] |= 1 << (bit & 63);
            let tails = self.windows.entry(head).or_default();
            if !tails.iter().any(|(known, _)| *known == tail) {
                tails.push((tail, index));
                self.count += 1;
            }
        }
    }

    /// Adds a short secret as it is, in hexadecimal and in base64, each where it is long enough to be told from chance.
    pub fn add_in_all_spellings(&mut self, name: &str, secret: &[u8]) {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut spellings = vec![
            ("", secret.to_vec()),
            (" (hex)", hex.to_uppercase().into_bytes()),
            (" (hex)", hex.into_bytes()),
        ];
        // What is a part of something longer may begin at any of the three places of a base64 group.
        for part in (0..3).filter_map(|at| secret.get(at..)) {
            spellings.push((" (base64)", STANDARD_NO_PAD.encode(part).into_bytes()));
            spellings.push((" (base64url)", URL_SAFE_NO_PAD.encode(part).into_bytes()));
        }
        for (suffix, bytes) in spellings {
            if bytes.len() >= WINDOW {
                self.add(&format!("{name}{suffix}"), &bytes);
            }
        }
    }

    /// Adds what is secret of a `state` in all spellings: every run of at least a window's length that does not stand in
    /// `public`. Returns how many bytes that were.
    pub fn add_secret_parts(&mut self, name: &str, state: &[u8], public: &[u8]) -> usize {
        let known: HashSet<&[u8]> = public.windows(WINDOW).collect();
        let is_public: Vec<bool> = state.windows(WINDOW).map(|window| known.contains(window)).collect();
        let mut bytes = 0;
        let mut at = 0;
        while at < is_public.len() {
            let begin = at;
            while at < is_public.len() && !is_public[at] {
                at += 1;
            }
            // The first and the last windows of a run reach into what is public beside it.
            let from = if begin == 0 { 0 } else { begin + WINDOW - 1 };
            let to = if at == is_public.len() { state.len() } else { at };
            if let Some(part) = state.get(from..to).filter(|part| part.len() >= WINDOW) {
                self.add_in_all_spellings(name, part);
                bytes += part.len();
            }
            at += 1;
        }
        bytes
    }

    /// Returns how many distinct windows are searched for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns whether nothing is searched for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns how many windows were too plain to search for.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Returns what of the secrets stands in `haystack`.
    #[must_use]
    pub fn search(&self, haystack: &[u8]) -> Findings {
        let mut seen = HashSet::new();
        let mut secrets: Vec<(u32, usize)> = Vec::new();
        let mut hits = 0;
        for (offset, window) in haystack.windows(WINDOW).enumerate() {
            let head = u64::from_le_bytes([
                window[0], window[1], window[2], window[3], window[4], window[5], window[6], window[7],
            ]);
            let bit = slot(head);
            if self.filter[(bit >> 6) as usize] & (1 << (bit & 63)) == 0 {
                continue;
            }
            let Some(tails) = self.windows.get(&head) else { continue };
            let (_, tail) = split(window);
            if let Some((_, index)) = tails.iter().find(|(known, _)| *known == tail) {
                hits += 1;
                seen.insert((head, tail));
                if !secrets.iter().any(|(known, _)| known == index) {
                    secrets.push((*index, offset));
                }
            }
        }
        Findings {
            bytes: haystack.len(),
            hits,
            seen: seen.len(),
            secrets: secrets
                .into_iter()
                .map(|(index, at)| (self.names[index as usize].clone(), at))
                .collect(),
        }
    }
}

impl Findings {
    /// Adds what another haystack gave; `seen` counts each haystack for itself.
    pub fn merge(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.hits += other.hits;
        self.seen += other.seen;
        self.secrets.extend(other.secrets);
    }
}

/// Searches the writable memory of a running process, region by region.
///
/// # Errors
/// When the system refuses a look at the process (another user's, or ended).
pub fn search_memory(needles: &Needles, process: u32) -> std::io::Result<Findings> {
    let mut all = Findings { bytes: 0, hits: 0, seen: 0, secrets: Vec::new() };
    each_region(process, &mut |region| all.merge(needles.search(region)))?;
    Ok(all)
}

/// Appends the writable memory of a running process to `out`.
///
/// # Errors
/// As [`search_memory`].
pub fn dump_memory(process: u32, out: &mut Vec<u8>) -> std::io::Result<()> {
    each_region(process, &mut |region| out.extend_from_slice(region))
}

/// Hands on every writable region: what a server learnt stands there; read-only ones are the program file itself.
fn each_region(process: u32, take: &mut dyn FnMut(&[u8])) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps"))?;
    let memory = std::fs::File::open(format!("/proc/{process}/mem"))?;
    let mut region = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        let Some((from, to)) = range.split_once('-').filter(|_| rights.starts_with("rw")) else { continue };
        let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else {
            continue;
        };
        let Ok(len) = usize::try_from(to.saturating_sub(from)) else { continue };
        region.resize(len, 0);
        // A region that went away between listing and reading holds nothing any more.
        if memory.read_exact_at(&mut region, from).is_ok() {
            take(&region);
        }
    }
    Ok(())
}

fn distinct(window: &[u8]) -> usize {
    let mut seen = [0u64; 4];
    for byte in window {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    seen.iter().map(|bits| bits.count_ones() as usize).sum()
}

fn split(window: &[u8]) -> (u64, u64) {
    let half = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("half a window has 8 bytes"));
    (half(&window[..8]), half(&window[8..16]))
}

fn slot(head: u64) -> u64 {
    head.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - FILTER_BITS)
}

#[cfg(test)]
mod tests {
    use super::{Needles, WINDOW, search_memory};

    #[test]
    fn finds_every_window_at_any_offset() {
        let secret: Vec<u8> = (0u32..200).map(|n| (n * 37 % 251) as u8).collect();
        let mut needles = Needles::new();
        needles.add("picture", &secret);
        let mut haystack = vec![0u8; 1003];
        haystack[501..701].copy_from_slice(&secret);
        let found = needles.search(&haystack);
        assert_eq!(found.hits, secret.len() - WINDOW + 1);
        assert_eq!(found.seen, needles.len());
        assert_eq!(found.secrets, vec![("picture".to_owned(), 501)]);
        haystack[501..701].iter_mut().for_each(|byte| *byte ^= 0x55);
        assert_eq!(needles.search(&haystack).hits, 0);
    }

    #[test]
    fn plain_windows_are_left_out_and_counted() {
        let mut needles = Needles::new();
        needles.add("zeros", &[0; 64]);
        assert_eq!((needles.len(), needles.left_out()), (0, 49));
    }

    #[test]
    fn of_a_state_what_is_not_public_is_searched_in_every_spelling() {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let state: Vec<u8> = (1u32..301).map(|n| (n.wrapping_mul(0x9E37_79B1) >> 24) as u8).collect();
        let (public, secret) = ([&state[..120], &state[152..200]].concat(), &state[120..152]);
        let mut needles = Needles::new();
        assert_eq!(needles.add_secret_parts("state", &state, &public), 32 + 100);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(needles.search(secret).hits, 32 - WINDOW + 1);
        assert_eq!(needles.search(hex(secret).as_bytes()).hits, 64 - WINDOW + 1);
        assert!(needles.search(URL_SAFE_NO_PAD.encode(&secret[5..]).as_bytes()).hits > 15);
        for public in
            [public.clone(), hex(&public).into_bytes(), URL_SAFE_NO_PAD.encode(&public).into_bytes()]
        {
            assert_eq!(needles.search(&public).hits, 0);
        }
    }

    #[test]
    fn finds_a_key_in_hex_and_base64() {
        let key =
            [0x1f, 0xa3, 0x55, 0x09, 0xee, 0x71, 0x42, 0xb8, 0x66, 0xd0, 0x3c, 0x97, 0x20, 0x8b, 0xfe, 0x14];
        let mut needles = Needles::new();
        needles.add_in_all_spellings("key", &key);
        for text in [
            "key=1fa35509ee7142b866d03c97208bfe14;",
            "key=1FA35509EE7142B866D03C97208BFE14;",
            "H6NVCe5xQrhm0DyXIIv+FA",
        ] {
            assert!(needles.search(text.as_bytes()).hits > 0, "{text}");
        }
    }

    #[test]
    fn sees_its_own_memory() {
        let planted: Vec<u8> = (0u32..64).map(|n| (n * 91 % 253) as u8).collect();
        let kept = std::hint::black_box(planted.clone());
        let mut needles = Needles::new();
        needles.add("planted", &planted);
        let found = search_memory(&needles, std::process::id()).expect("own memory is readable");
        assert!(found.hits > 0 && found.bytes > 100_000, "{found:?}");
        drop(kept);
    }
}
