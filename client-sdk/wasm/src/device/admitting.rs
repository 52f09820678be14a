//! Letting other devices in: by an invite code, by the code that they show, by number and digits.

use std::sync::Arc;

use latchkey_e2ee::enrol::{Offer, PairingNumber, Typed};
use latchkey_household::enrol::{Accepted, Invitation, Invited, LetIn, Met as HouseholdMet};
use latchkey_household::task::spawn;

use crate::device::Device;
use crate::face::Fault;
use crate::face::admit::{Admitted, DigitsVerdict, InviteCode, LastGlance, LetIn as LetInAsk, Met, Terms};
use crate::face::event::Event;
use crate::told;

/// How far the letting in of a device is.
pub(super) enum Meeting {
    Met(Box<LetIn>),
    Accepted(Box<Accepted>),
}

impl Device {
    pub(super) async fn invite(&self, ask: &Terms) -> Result<InviteCode, Fault> {
        let member = self.member()?;
        let invitation = Invitation::with_terms(&*member.home.lock().await, told::terms(ask)?)?;
        let code = invitation.code().reveal().to_string();
        let host = Arc::clone(&self.host);
        let task = spawn(async move {
            let (admitted, reason) = match invitation.wait_shared(&member.home).await {
                Ok(invited) => (Some(of_invited(invited)), None),
                Err(error) => (None, Some(error.to_string())),
            };
            host.tell(Event::Invite { admitted, reason });
        });
        let before = self.state().inviting.replace(task);
        if let Some(before) = before {
            before.abort();
        }
        Ok(InviteCode { code })
    }

    pub(super) async fn let_in(&self, ask: &LetInAsk) -> Result<Met, Fault> {
        let (member, terms) = (self.member()?, told::terms(&ask.terms)?);
        let attempt = self.state().given_up;
        let mut letting = {
            let home = member.home.lock().await;
            match ask.shown.parse::<PairingNumber>() {
                Ok(number) => LetIn::by_number(&home, number, terms)?,
                Err(_) => {
                    let offer: Offer = ask.shown.parse().map_err(|error| Fault::new("code", error))?;
                    LetIn::by_code(&home, &offer, terms)?
                }
            }
        };
        let met = letting.meet().await?;
        self.keep_meeting(attempt, Meeting::Met(Box::new(letting)))?;
        Ok(match met {
            HouseholdMet::Sure(kind) => Met::Sure { kind: kind.into() },
            HouseholdMet::AskDigits => Met::AskDigits,
        })
    }

    pub(super) fn type_digits(&self, digits: &str) -> Result<DigitsVerdict, Fault> {
        if digits.chars().filter(char::is_ascii_digit).count() != 6 {
            return Ok(DigitsVerdict::NotDigits);
        }
        let mut state = self.state();
        let Some(Meeting::Met(letting)) = &mut state.meeting else { return Err(Fault::not_under_way()) };
        Ok(match letting.type_digits(digits) {
            Typed::Right => DigitsVerdict::Fit,
            Typed::Wrong { left } => DigitsVerdict::Wrong { left: u8::try_from(left).unwrap_or(u8::MAX) },
            Typed::NotAsked => return Err(Fault::not_under_way()),
        })
    }

    pub(super) async fn confirm(&self) -> Result<LastGlance, Fault> {
        let member = self.member()?;
        let (meeting, attempt) = self.take_meeting();
        let Some(Meeting::Met(mut letting)) = meeting else { return Err(Fault::not_under_way()) };
        letting.invite(&mut *member.home.lock().await).await?;
        let accepted = letting.accepted().await?;
        let digits = accepted.digits().to_string();
        self.keep_meeting(attempt, Meeting::Accepted(Box::new(accepted)))?;
        Ok(LastGlance { digits })
    }

    pub(super) async fn admit(&self) -> Result<Admitted, Fault> {
        let member = self.member()?;
        let Some(Meeting::Accepted(accepted)) = self.take_meeting().0 else {
            return Err(Fault::not_under_way());
        };
        let invited = accepted.sign(&mut *member.home.lock().await).await?;
        Ok(of_invited(invited))
    }

    fn take_meeting(&self) -> (Option<Meeting>, u32) {
        let mut state = self.state();
        (state.meeting.take(), state.given_up)
    }

    /// Keeps it for the next step, unless the page has given it up meanwhile.
    fn keep_meeting(&self, attempt: u32, meeting: Meeting) -> Result<(), Fault> {
        let mut state = self.state();
        if state.given_up != attempt {
            return Err(Fault::not_under_way());
        }
        state.meeting = Some(meeting);
        Ok(())
    }
}

fn of_invited(invited: Invited) -> Admitted {
    Admitted { device: invited.device.to_string(), list_version: invited.list_version }
}
