//! The slab of everything that has a token, with generations: the only place that knows `slab`.
//!
//! A token is the slab key and a sequence number that is never used twice for one key in practice (it
//! wraps after four billion insertions). An event for something that is gone finds nothing, even when its
//! key has been given to something new (invariant I6).

use slab::Slab;

use crate::kernel::Token;

/// Tokens hold the key in their lower half and the sequence number in the upper.
const HALF: u32 = usize::BITS / 2;
const KEY_MASK: usize = usize::MAX >> HALF;

#[derive(Debug)]
struct Entry<T> {
    seq: u32,
    value: T,
}

/// Values by token.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slab: Slab<Entry<T>>,
    seq: u32,
}

impl<T> Slots<T> {
    /// Room for `slots` values before any memory has to be moved.
    pub(crate) fn with_capacity(slots: usize) -> Self {
        Self { slab: Slab::with_capacity(slots), seq: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// The token the next [`insert`](Self::insert) will give.
    pub(crate) fn next_token(&self) -> Token {
        Self::token(self.slab.vacant_key(), self.seq)
    }

    pub(crate) fn insert(&mut self, value: T) -> Token {
        let seq = self.seq;
        // The all-ones sequence is left out: it would collide with the reserved tokens.
        self.seq = if seq >= u32::MAX - 1 { 0 } else { seq + 1 };
        let key = self.slab.insert(Entry { seq, value });
        Self::token(key, seq)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let entry = self.slab.get_mut(token.0 & KEY_MASK)?;
        if Self::seq_bits(entry.seq) == token.0 >> HALF { Some(&mut entry.value) } else { None }
    }

    pub(crate) fn get(&self, token: Token) -> Option<&T> {
        let entry = self.slab.get(token.0 & KEY_MASK)?;
        (Self::seq_bits(entry.seq) == token.0 >> HALF).then_some(&entry.value)
    }

    /// The token of whatever has this token's key now: the planted bug that generations prevent.
    pub(crate) fn current(&self, token: Token) -> Token {
        let key = token.0 & KEY_MASK;
        self.slab.get(key).map_or(token, |entry| Self::token(key, entry.seq))
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<T> {
        self.get_mut(token)?;
        Some(self.slab.remove(token.0 & KEY_MASK).value)
    }

    /// The token of what lives under `key` now.
    pub(crate) fn token_of(&self, key: u32) -> Option<Token> {
        let key = key as usize;
        self.slab.get(key).map(|entry| Self::token(key, entry.seq))
    }

    /// All tokens, collected, so that values may be removed while going through them.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        self.slab.iter().map(|(key, entry)| Self::token(key, entry.seq)).collect()
    }

    /// Every value with its token.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        self.slab.iter().map(|(key, entry)| (Self::token(key, entry.seq), &entry.value))
    }

    /// Every value with its token, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Token, &mut T)> {
        self.slab.iter_mut().map(|(key, entry)| (Self::token(key, entry.seq), &mut entry.value))
    }

    fn token(key: usize, seq: u32) -> Token {
        debug_assert!(key <= KEY_MASK, "more slots than a token can name");
        Token(Self::seq_bits(seq) << HALF | key)
    }

    #[inline]
    fn seq_bits(seq: u32) -> usize {
        seq as usize & KEY_MASK
    }
}

/// The slab key of a token, as deadlines are kept by it.
#[inline]
pub(crate) fn key_of(token: Token) -> u32 {
    u32::try_from(token.0 & KEY_MASK).expect("keys fill at most half a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_token_finds_nothing_even_when_its_key_is_used_again() {
        let mut slots = Slots::with_capacity(4);
        let old = slots.insert("old");
        assert_eq!(slots.remove(old), Some("old"));
        let new = slots.insert("new");
        assert_eq!(key_of(old), key_of(new));
        assert_eq!(slots.get_mut(old), None);
        assert_eq!(slots.remove(old), None);
        assert_eq!(slots.get_mut(new), Some(&mut "new"));
    }

    #[test]
    fn the_announced_token_is_the_one_given() {
        let mut slots = Slots::with_capacity(4);
        for value in 0..10 {
            let announced = slots.next_token();
            assert_eq!(slots.insert(value), announced);
            if value % 3 == 0 {
                slots.remove(announced);
            }
        }
    }

    #[test]
    fn a_reserved_token_finds_nothing() {
        let mut slots = Slots::with_capacity(4);
        slots.insert(());
        assert!(slots.get_mut(Token::WAKER).is_none());
        assert!(slots.get_mut(Token::SIGNALS).is_none());
    }
}
