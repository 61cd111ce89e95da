//! Makes changes, and tries tokens that are affected by them.

use super::player::Player;
use super::site::Site;
use crate::laws::{Asks, Change, Presented, Request};

/// How many of the latest tokens are compared before and after a change.
pub(super) const COMPARED: usize = 16;

impl<S: Site> Player<S> {
    /// Makes a change, and tries tokens that are affected by it.
    pub(super) fn change(&mut self, change: &Change) {
        let token = change.token().map(|index| self.model.tokens[index].clone());
        let ended = self.around(|player| {
            let before = player.site.change(change, token.as_ref());
            player.model.apply(change, before);
        });
        self.note(super::reached::kind(change).to_owned());
        for index in ended {
            self.note_ended(change, token.as_ref(), index);
        }
        self.check_names();
        self.look_at_some(1);
    }

    /// No two principals have a name for which one of them has a prefix, or is registered.
    pub(super) fn check_names(&self) {
        let confused = self.model.confused(self.site.now());
        assert!(confused.is_none(), "CC-17: one name, two principals: {confused:?}");
    }

    /// Does something, checks tokens that it ends or makes active again, and renews those that it makes renewable or not. Returns
    /// the checked tokens that it ended.
    pub(super) fn around(&mut self, act: impl FnOnce(&mut Self)) -> Vec<usize> {
        let was = self.verdicts();
        act(self);
        let is = self.verdicts();
        let turned = was.iter().zip(&is).filter(|(was, is)| was.1 != is.1 || was.2 != is.2);
        let turned: Vec<_> = turned.map(|(was, is)| (was.0, was.1 != is.1, was.2 != is.2)).collect();
        let mut ended = Vec::new();
        for (index, _, _) in turned.iter().rev().filter(|turned| turned.1).take(2) {
            self.look(*index);
            ended.extend(is.iter().find(|is| is.0 == *index && !is.1).map(|is| is.0));
        }
        for (index, _, _) in turned.iter().rev().filter(|turned| turned.2).take(2) {
            let request = self.renewal(*index);
            self.send(&request);
        }
        ended
    }

    /// The latest tokens: which, whether it is active, and whether its client can renew it.
    fn verdicts(&self) -> Vec<(usize, bool, bool)> {
        let (now, tokens) = (self.site.now(), &self.model.tokens);
        (tokens.len().saturating_sub(COMPARED)..tokens.len())
            .map(|index| {
                let is_renewable = self.model.judge(&self.renewal(index), now).is_ok();
                (index, self.model.is_active(&tokens[index], now), is_renewable)
            })
            .collect()
    }

    fn renewal(&self, index: usize) -> Request {
        let by = self.way(self.model.tokens[index].client);
        let asks = Asks::Exchange { subject: Presented::Own(index), actor: None };
        self.request(by, asks, "", None, true)
    }
}
