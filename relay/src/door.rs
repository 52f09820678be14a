//! What the door does, apart from HTTP: lets peers in, passes their wishes to the shard, and shows them out.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use latchkey_wire::id::{DeviceHandle, RoomId};
use zeroize::Zeroizing;

use crate::admission::{Admission, Admitted, Refusal};
use crate::metrics::{self, DoorCounters, Standing};
use crate::problem::{Problem, ProblemCode};
use crate::public_address::Candidates;
use crate::registry::Registry;
use crate::sdp::answer::{self, LocalTransport};
use crate::sdp::fragment::{self, Fragment};
use crate::sdp::negotiate::{self, Line, Negotiation};
use crate::sdp::offer::{IceCredentials, Offer};
use crate::sessions::{Known, Running, Session, Sessions};
use crate::shard::command::handle::ShardHandle;
use crate::shard::command::join::{JoinAccepted, JoinRequest, RemoteParams, Role};
use crate::shard::session_id::SessionId;
use crate::transport::fingerprint::Fingerprint;
use crate::transport::ice::credentials::Credentials;

/// The relay's control plane: everything that HTTP handlers, ops port and host ask for.
pub(crate) struct Door {
    pub(crate) admission: Admission,
    pub(crate) registry: Registry,
    pub(crate) sessions: Sessions,
    pub(crate) shards: Vec<ShardHandle>,
    pub(crate) counters: DoorCounters,
    pub(crate) transport: RelayTransport,
    pub(crate) max_sdp_bytes: usize,
    pub(crate) draining: AtomicBool,
}

/// What every answer says of the relay's own end.
#[derive(Clone, Debug)]
pub(crate) struct RelayTransport {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) candidates: Candidates,
}

/// What somebody outside needs to see whether its packets reach the media port. Good for a few answers within half a minute.
#[derive(Clone)]
pub struct Probe {
    /// User fragment for the first half of the STUN user name; any word may be the second.
    pub ufrag: String,
    /// Password for message integrity.
    pub pwd: Zeroizing<String>,
    /// Where packets should be sent: what the relay's answers name as candidates.
    pub addresses: Vec<SocketAddr>,
}

/// A peer that was let in.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) session: SessionId,
    pub(crate) answer: String,
}

impl Door {
    /// Lets a publisher or viewer in: grant, offer, room, limits, in this order; then the grant is used up and the shard
    /// takes the peer. Whatever fails before that leaves the grant good for another try.
    pub(crate) async fn join(
        &self,
        role: Role,
        room: RoomId,
        bearer: Option<&str>,
        body: &[u8],
    ) -> Result<Joined, Problem> {
        let joined = self.let_in(role, room, bearer, body).await;
        self.counters.join(role, joined.as_ref().map_or_else(|problem| problem.code.as_str(), |_| "ok"));
        joined
    }

    async fn let_in(
        &self,
        role: Role,
        room: RoomId,
        bearer: Option<&str>,
        body: &[u8],
    ) -> Result<Joined, Problem> {
        self.refuse_while_draining()?;
        let now = SystemTime::now();
        let admitted =
            self.admission.check(bearer, room, role, now).map_err(|refusal| self.refused(refusal))?;
        let offer = Offer::parse(body)?;
        let negotiation = match role {
            Role::Publish => negotiate::publisher(&offer)?,
            Role::View => self.negotiate_view(&offer, room).await?,
        };
        let ticket = self.admission.enter(&admitted, now).map_err(|refusal| self.refused(refusal))?;
        let lease = self.registry.lease(room, role);
        let shard = &self.shards[lease.shard()];
        let home = &self.shards[lease.home()];
        let accepted = shard.join_from(home, join_request(&admitted, role, &offer, &negotiation)).await?;
        let session = accepted.session;
        let transport_section = transport_section(&offer, &negotiation);
        let codecs = negotiation.codecs();
        let entry =
            Session { role, lease, ticket, transport_section, codecs, ice_generation: 0, has_picture: false };
        self.sessions.add(session, entry);
        // A cut that came while the shard was asked found no leg to end, or one that this ends once more.
        if self.admission.is_cut(&admitted, SystemTime::now()) {
            let _ = shard.leave(session).await;
            return Err(self.refused(Refusal::Cut));
        }
        if role == Role::View {
            self.counters.viewer_joined(self.admission.crowd().viewers(room));
        }
        let ice = IceCredentials { ufrag: accepted.ufrag, pwd: accepted.pwd };
        let candidates = self.transport.candidates.now();
        let local =
            LocalTransport { ice: &ice, fingerprint: self.transport.fingerprint, candidates: &candidates };
        tracing::info!(?room, ?session, ?role, device = ?admitted.grant.device, "joined");
        Ok(Joined { session, answer: answer::write(&offer, &negotiation, &local) })
    }

    /// Adds trickled candidates to a session whose entity tag is still `generation`.
    pub(crate) async fn trickle(
        &self,
        role: Role,
        session: SessionId,
        generation: &str,
        body: &[u8],
    ) -> Result<(), Problem> {
        let running = self.running(role, session)?;
        if generation != entity_tag(running.ice_generation) {
            let detail =
                "ICE was restarted after this tag was given: send the candidates with the newest ETag";
            return Err(Problem::new(ProblemCode::EtagMismatch, detail));
        }
        let fragment = Fragment::parse(body)?;
        Ok(self.shards[running.shard].add_candidates(session, fragment.candidates).await?)
    }

    /// Restarts ICE; returns the fragment to answer with and the new entity tag.
    pub(crate) async fn restart_ice(
        &self,
        role: Role,
        session: SessionId,
        body: &[u8],
    ) -> Result<(String, String), Problem> {
        let running = self.running(role, session)?;
        let fragment = Fragment::parse(body)?;
        let Some(remote) = fragment.ice else {
            let detail = "an ICE restart needs the new a=ice-ufrag and a=ice-pwd; to trickle, send the ETag in If-Match";
            return Err(Problem::new(ProblemCode::FragmentMalformed, detail));
        };
        let shard = &self.shards[running.shard];
        let JoinAccepted { ufrag, pwd, .. } = shard.ice_restart(session, remote.ufrag, remote.pwd).await?;
        if !fragment.candidates.is_empty() {
            shard.add_candidates(session, fragment.candidates).await?;
        }
        let generation = self.sessions.restarted(session).ok_or_else(no_session)?;
        let (mid, kind) = &running.transport_section;
        let candidates = self.transport.candidates.now();
        let answer = fragment::restarted(&IceCredentials { ufrag, pwd }, mid, kind, &candidates);
        Ok((answer, entity_tag(generation)))
    }

    /// Ends a session at its peer's wish.
    pub(crate) async fn leave(&self, role: Role, session: SessionId) -> Result<(), Problem> {
        let running = self.running(role, session)?;
        Ok(self.shards[running.shard].leave(session).await?)
    }

    /// A viewer says how long it took from its request to its first opened frame; counted once for each session.
    pub(crate) fn first_frame(&self, session: SessionId, after: Duration) -> Result<(), Problem> {
        self.running(Role::View, session)?;
        if self.sessions.note_picture(session) {
            self.counters.first_frame(after);
        }
        Ok(())
    }

    /// Says that a session runs, or why it has ended.
    pub(crate) fn running(&self, role: Role, session: SessionId) -> Result<Running, Problem> {
        match self.sessions.find(session, Instant::now()) {
            Some(Known::Running(running)) if running.role == role => Ok(running),
            Some(Known::Ended(end)) => Err(end.into()),
            Some(Known::Running(_)) | None => Err(no_session()),
        }
    }

    /// Ends every leg of `device` in `room` and refuses its grants issued up to `issued_before`. Returns how many legs ended.
    pub(crate) async fn cut(&self, room: RoomId, device: DeviceHandle, issued_before: SystemTime) -> usize {
        self.admission.cut(room, device, issued_before, SystemTime::now());
        self.counters.cut();
        let mut ended = 0;
        // A room that nobody is in now may still be joined by a request under way: every shard learns of the cut.
        for shard in &self.shards {
            ended += shard.cut(room, device, issued_before).await.unwrap_or(0);
        }
        tracing::info!(?room, ?device, ended, "cut off");
        ended
    }

    /// Whether somebody publishes into `room` now.
    pub(crate) async fn is_live(&self, room: RoomId) -> bool {
        let Some(shard) = self.registry.shard_of(room) else { return false };
        matches!(self.shards[shard].tracks_of(room).await, Ok(Some(_)))
    }

    /// Credentials for a look, from outside, whether the media port can be reached; and where it should be. `None` when too
    /// many look just now.
    pub(crate) async fn open_probe(&self) -> Option<Probe> {
        let Credentials { ufrag, pwd } = self.shards.first()?.open_probe().await.ok().flatten()?;
        Some(Probe { ufrag, pwd, addresses: self.transport.candidates.now().to_vec() })
    }

    /// Takes nobody new from now on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.shards.iter().for_each(ShardHandle::drain);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The Prometheus text of the whole relay.
    pub(crate) fn metrics(&self) -> String {
        let standing = Standing { draining: self.is_draining(), crowded: self.admission.crowd().fullness() };
        metrics::scrape(&self.shards, &self.counters, standing)
    }

    /// Whether every shard answers within a second.
    pub(crate) async fn is_alive(&self) -> bool {
        for shard in &self.shards {
            let answer =
                tokio::time::timeout(Duration::from_secs(1), shard.tracks_of(RoomId::new([0; 16]))).await;
            if !matches!(answer, Ok(Ok(_))) {
                return false;
            }
        }
        true
    }

    async fn negotiate_view(&self, offer: &Offer, room: RoomId) -> Result<Negotiation, Problem> {
        let tracks = match self.registry.shard_of(room) {
            Some(shard) => self.shards[shard].tracks_of(room).await?,
            None => None,
        };
        let tracks = tracks.filter(|tracks| !tracks.is_empty()).ok_or_else(no_publisher)?;
        Ok(negotiate::viewer(offer, &tracks)?)
    }

    fn refuse_while_draining(&self) -> Result<(), Problem> {
        if self.is_draining() {
            let detail = "the relay is stopping and takes nobody new: ask signaling for another relay";
            return Err(Problem::new(ProblemCode::Draining, detail).retry_after(Duration::from_secs(5)));
        }
        Ok(())
    }

    fn refused(&self, refusal: Refusal) -> Problem {
        self.counters.refused(refusal);
        refusal.into()
    }
}

/// The entity tag of an ICE generation, without its quotes (RFC 9725 section 4.3.1).
pub(crate) fn entity_tag(generation: u32) -> String {
    format!("ice-{generation}")
}

fn join_request(admitted: &Admitted, role: Role, offer: &Offer, negotiation: &Negotiation) -> JoinRequest {
    let grant = &admitted.grant;
    JoinRequest {
        room: grant.room,
        device: grant.device,
        role,
        granted_at: grant.issued_at,
        session_expires: grant.session_expires_at,
        remote: RemoteParams {
            ufrag: offer.ice.ufrag.clone(),
            pwd: offer.ice.pwd.clone(),
            fingerprint: offer.fingerprint,
            candidates: offer.candidates.clone(),
        },
        extmap_allow_mixed: offer.extmap_allow_mixed,
        media: negotiation.legs(offer),
    }
}

/// mid and media name of the answer's first section with a transport.
fn transport_section(offer: &Offer, negotiation: &Negotiation) -> (String, String) {
    let mut sections = offer.media.iter().zip(&negotiation.lines);
    let first = sections.find(|(_, line)| !matches!(line, Line::Refused));
    first.map(|(media, _)| (media.mid.clone(), media.name.clone())).unwrap_or_default()
}

fn no_session() -> Problem {
    Problem::new(
        ProblemCode::NoSession,
        "no session has this name: it ended more than a minute ago, or never was",
    )
}

fn no_publisher() -> Problem {
    let detail = "nobody publishes into this room now: try again with the same grant until it expires";
    Problem::new(ProblemCode::NoPublisher, detail).retry_after(Duration::from_secs(1))
}
