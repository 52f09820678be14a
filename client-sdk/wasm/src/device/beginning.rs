//! Becoming a device of a household: founding, joining, arriving, recovering; and forgetting it again.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use latchkey_household::enrol::{
    Arrival, ArrivalConfig, Founding, InviteCode, join as join_household, machine_clock,
};
use latchkey_household::home::Home;
use latchkey_household::recovery::{Recovery, recover};
use latchkey_household::task::{Task, spawn};
use tokio::sync::oneshot;

use crate::device::Device;
use crate::face::devices::{Member as MemberFace, Standing};
use crate::face::enrol::{
    ArrivalStage, Arrive, ArriveBy, Found, JoinByCode, NewHousehold, Recover, Waiting, Words,
};
use crate::face::event::Event;
use crate::face::{Fault, Nothing};

/// This device waits to be let in.
pub(super) struct Arriving {
    task: Task,
    /// Takes the user's word on the digits.
    fit: Option<oneshot::Sender<bool>>,
}

impl Arriving {
    pub(super) fn give_up(&self) {
        self.task.abort();
    }
}

impl Device {
    pub(super) async fn standing(&self) -> Standing {
        let member = self.state().member.clone();
        let Some(member) = member else { return Standing::Nobody };
        let home = member.home.lock().await;
        Standing::Member(MemberFace {
            household: home.household().to_string(),
            device: home.device().to_string(),
            name: home.name_of(home.device()),
            role: home.role().ok().map(Into::into),
            server: home.server().url().to_string(),
        })
    }

    pub(super) fn prepare_household(&self, ask: &NewHousehold) -> Result<Words, Fault> {
        let founding = Founding::prepare(self.fresh()?, &ask.server, &ask.device_name)?;
        let words = founding.words().split(' ').map(str::to_owned).collect();
        self.state().founding = Some(founding);
        Ok(Words { words })
    }

    pub(super) async fn found(&self, ask: Found) -> Result<Standing, Fault> {
        let (founding, given_up) = {
            let mut state = self.state();
            (state.founding.take(), state.given_up)
        };
        let mut founding = founding.ok_or_else(Fault::not_under_way)?;
        if let Some(code) = ask.invite_code {
            founding = founding.with_invite_code(code);
        }
        match founding.found_or_again().await {
            Ok((home, _words)) => Ok(self.begun(home).await),
            Err(not) => {
                let mut state = self.state();
                // Unless the user has given it up or begun anew meanwhile.
                if state.given_up == given_up && state.founding.is_none() {
                    state.founding = not.again;
                }
                Err(not.error.into())
            }
        }
    }

    pub(super) async fn join(&self, ask: &JoinByCode) -> Result<Standing, Fault> {
        let code = InviteCode::from_str(code_of(&ask.code))?;
        let home = join_household(self.fresh()?, &code, PATIENCE).await?;
        Ok(self.begun(home).await)
    }

    pub(super) async fn recover(&self, ask: &Recover) -> Result<Standing, Fault> {
        let recovery = Recovery { server: &ask.server, name: &ask.device_name, keep_admins: ask.keep_admins };
        let (home, _) = recover(self.fresh()?, &ask.words, recovery).await?;
        Ok(self.begun(home).await)
    }

    pub(super) async fn arrive(&self, ask: Arrive) -> Result<Waiting, Fault> {
        let vault = self.fresh()?;
        let config = ArrivalConfig { server: ask.server, kind: ask.kind.into(), clock: machine_clock };
        let (fit_tx, fit) = oneshot::channel();
        let (arrival, shown, fit) = match ask.by {
            ArriveBy::Code => {
                let (arrival, offer) = Arrival::by_code(vault, config).await?;
                (arrival, offer.reveal().to_string(), None)
            }
            ArriveBy::Number => {
                let (arrival, number) = Arrival::by_number(vault, config).await?;
                (arrival, number.to_string(), Some(fit))
            }
        };
        let device = self.clone();
        let task = spawn(async move {
            if let Err(fault) = device.be_let_in(arrival, fit).await {
                device.stage(ArrivalStage::Failed { reason: fault.text });
            }
        });
        let before = self.state().arriving.replace(Arriving { task, fit: Some(fit_tx) });
        if let Some(before) = before {
            before.give_up();
        }
        Ok(Waiting { shown })
    }

    async fn be_let_in(
        &self,
        mut arrival: Arrival,
        fit: Option<oneshot::Receiver<bool>>,
    ) -> Result<(), Fault> {
        if let Some(fit) = fit {
            let digits = arrival.digits().await?.to_string();
            self.stage(ArrivalStage::Digits { digits });
            let fit = fit.await.unwrap_or(false);
            arrival.digits_fit(fit).await?;
        }
        let invited = arrival.invited().await?;
        self.stage(ArrivalStage::Invited {
            name: invited.name.clone(),
            role: invited.role.into(),
            glance: invited.digits.to_string(),
        });
        let home = arrival.listed().await?;
        let standing = self.begun(home).await;
        self.stage(ArrivalStage::Listed { standing });
        Ok(())
    }

    pub(super) fn digits_fit(&self, fit: bool) -> Result<Nothing, Fault> {
        let answer = self.state().arriving.as_mut().and_then(|arriving| arriving.fit.take());
        let answer = answer.ok_or_else(Fault::not_under_way)?;
        answer.send(fit).map_err(|_| Fault::not_under_way())?;
        Ok(Nothing {})
    }

    pub(super) fn forget(&self) -> Nothing {
        self.cancel();
        self.end_all_sessions();
        let mut state = self.state();
        state.member = None;
        state.steward = None;
        drop(state);
        self.rest.discard();
        Nothing {}
    }

    async fn begun(&self, home: Home) -> Standing {
        self.take_up(home);
        self.standing().await
    }

    fn stage(&self, stage: ArrivalStage) {
        Arc::clone(&self.host).tell(Event::Arrival { stage });
    }
}

/// The code in a link: what stands behind `#`, and there behind the last `=`.
fn code_of(text: &str) -> &str {
    let behind = text.rsplit('#').next().unwrap_or(text);
    behind.rsplit('=').next().unwrap_or(behind)
}

/// How long an admin may take to answer a code.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_in_its_link() {
        for text in
            ["latchkey1-AbC", "https://cam.example/#latchkey1-AbC", "https://cam.example/#join=latchkey1-AbC"]
        {
            assert_eq!(code_of(text), "latchkey1-AbC");
        }
    }
}
