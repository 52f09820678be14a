//! Enrolment over a mailbox that loses, repeats, reorders and exchanges.
