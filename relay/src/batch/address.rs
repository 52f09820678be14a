//! Socket addresses in the kernel's form, and control messages.

use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Room for an IPv4 or IPv6 socket address.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union RawAddress {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl RawAddress {
    /// Bytes that the kernel may fill.
    pub(super) const CAPACITY: libc::socklen_t = size_of::<RawAddress>() as libc::socklen_t;

    pub(super) fn zeroed() -> Self {
        // SAFETY: both variants are plain old data for which all-zero is valid.
        unsafe { std::mem::zeroed() }
    }

    /// Writes `to` for a socket of the given family and returns the length; on an IPv6 socket IPv4 becomes mapped.
    pub(super) fn set(&mut self, to: SocketAddr, socket_is_v6: bool) -> libc::socklen_t {
        match (to, socket_is_v6) {
            (SocketAddr::V4(v4), false) => {
                self.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>() as libc::socklen_t
            }
            (SocketAddr::V4(v4), true) => {
                self.set_v6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
            }
            (SocketAddr::V6(v6), _) => self.set_v6(v6),
        }
    }

    fn set_v6(&mut self, v6: SocketAddrV6) -> libc::socklen_t {
        self.v6 = libc::sockaddr_in6 {
            sin6_family: libc::AF_INET6 as libc::sa_family_t,
            sin6_port: v6.port().to_be(),
            sin6_flowinfo: v6.flowinfo(),
            sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
            sin6_scope_id: v6.scope_id(),
        };
        size_of::<libc::sockaddr_in6>() as libc::socklen_t
    }

    /// The canonical address, or `None` for another family.
    pub(super) fn get(&self) -> Option<SocketAddr> {
        // SAFETY: the family field lies at the same place in both variants and every bit pattern of it is valid.
        let family = unsafe { self.v4.sin_family };
        match i32::from(family) {
            libc::AF_INET => {
                // SAFETY: plain old data, and the family says which variant the kernel wrote.
                let v4 = unsafe { self.v4 };
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(v4.sin_port)))
            }
            libc::AF_INET6 => {
                // SAFETY: plain old data, and the family says which variant the kernel wrote.
                let v6 = unsafe { self.v6 };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Some(match ip.to_ipv4_mapped() {
                    Some(ip) => SocketAddr::new(IpAddr::V4(ip), port),
                    None => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id)),
                })
            }
            _ => None,
        }
    }
}

const _: () =
    assert!(offset_of!(libc::sockaddr_in, sin_family) == offset_of!(libc::sockaddr_in6, sin6_family));

/// Room for control messages, aligned as the kernel wants them.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Control<N> {
    /// Appends one message of plain data after `used` bytes and returns the new length.
    ///
    /// `T` must be a plain C type: its bytes are copied.
    pub(super) fn push<T: Copy>(
        &mut self,
        used: usize,
        level: libc::c_int,
        kind: libc::c_int,
        value: T,
    ) -> usize {
        // SAFETY: pure arithmetic on a length that fits.
        let space = unsafe { libc::CMSG_SPACE(size_of::<T>() as u32) } as usize;
        // SAFETY: pure arithmetic on a length that fits.
        let len = unsafe { libc::CMSG_LEN(size_of::<T>() as u32) } as usize;
        assert!(used.is_multiple_of(8) && used + space <= N, "control messages fit by construction");
        let header = libc::cmsghdr { cmsg_len: len as _, cmsg_level: level, cmsg_type: kind };
        let at = self.0[used..used + space].as_mut_ptr();
        // SAFETY: `at` points to `space` writable bytes, aligned to 8 because the struct is and `used` is a multiple of 8;
        // header and data do not overlap and fit into `space` as CMSG_SPACE says.
        unsafe {
            at.cast::<libc::cmsghdr>().write(header);
            at.add(len - size_of::<T>()).cast::<T>().write_unaligned(value);
        }
        used + space
    }

    /// Calls `each` with level, type and data of every message in the first `used` bytes.
    pub(super) fn each(&self, used: usize, mut each: impl FnMut(libc::c_int, libc::c_int, &[u8])) {
        let head = size_of::<libc::cmsghdr>().next_multiple_of(8);
        let mut rest = &self.0[..used.min(N)];
        while rest.len() >= head {
            // SAFETY: at least a header's bytes are there, and every bit pattern is a valid header.
            let header = unsafe { rest.as_ptr().cast::<libc::cmsghdr>().read_unaligned() };
            #[allow(clippy::unnecessary_cast)] // Not everywhere is it a usize.
            let len = header.cmsg_len as usize;
            if len < head || len > rest.len() {
                return;
            }
            each(header.cmsg_level, header.cmsg_type, &rest[head..len]);
            rest = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
        }
    }
}

/// The source address to send from, as a control message for a socket of the given family.
pub(super) fn push_source<const N: usize>(
    control: &mut Control<N>,
    used: usize,
    source: IpAddr,
    socket_is_v6: bool,
) -> usize {
    if socket_is_v6 {
        let ip = match source {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
        return control.push(used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
    }
    match source {
        IpAddr::V4(v4) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(v4.octets()) },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            control.push(used, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        // An IPv4 socket has no IPv6 source; the kernel chooses.
        IpAddr::V6(_) => used,
    }
}

/// The local address that a datagram was sent to, from its packet-info message.
pub(super) fn destination(level: libc::c_int, kind: libc::c_int, data: &[u8]) -> Option<IpAddr> {
    match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            let at = offset_of!(libc::in_pktinfo, ipi_addr);
            let octets: [u8; 4] = data.get(at..at + 4)?.try_into().ok()?;
            Some(IpAddr::from(octets))
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let octets: [u8; 16] = data.get(..16)?.try_into().ok()?;
            Some(IpAddr::from(octets).to_canonical())
        }
        _ => None,
    }
}
