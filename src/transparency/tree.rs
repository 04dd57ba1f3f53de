//! The Merkle tree over the log (RFC 6962, section 2.1), and its proofs. The leaf of the event with the number `n` is the leaf `n - 1`
//! of the tree: what [`Leaf`](crate::journal::Leaf) computes is the hash of RFC 6962 already.
//!
//! Everything here is arithmetic. A tree is asked for by the [`TreeNode`]s that it consists of, and the store of their hashes brings
//! them.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A hash of the tree, 32 bytes of SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeHash(pub [u8; 32]);

impl TreeHash {
    /// The root of the tree without a leaf.
    pub fn of_empty_tree() -> Self {
        Self::from_slice(digest(&SHA256, &[]).as_ref())
    }

    /// The hash of a node over two others.
    pub fn of_children(left: &Self, right: &Self) -> Self {
        let mut hash = Context::new(&SHA256);
        for part in [&[1][..], &left.0, &right.0] {
            hash.update(part);
        }
        Self::from_slice(hash.finish().as_ref())
    }

    /// The hash that stands in the text of checkpoints and proofs: 32 bytes in base64.
    pub fn from_base64(text: &str) -> Option<Self> {
        Some(Self(STANDARD.decode(text).ok()?.try_into().ok()?))
    }

    /// Reads 64 hexadecimal digits in lower case; `None` where the text is something else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(hash))
    }

    /// As hexadecimal digits, as in answers of the API.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn from_slice(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(bytes);
        Self(hash)
    }
}

/// In base64, as in checkpoints and proofs.
impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A node over a complete subtree: over `2^level` leaves, the `index`-th of its level, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeNode {
    /// The binary logarithm of the number of its leaves.
    pub level: u32,
    /// Which one of the level it is.
    pub index: u64,
}

/// The complete subtrees that a part of a tree consists of, the largest first. The hash of the part is made of theirs.
pub type TreePart = Vec<TreeNode>;

/// Returns the subtrees of the whole tree of that size; none of an empty one.
pub fn whole(size: u64) -> TreePart {
    part(0, size)
}

/// Returns the parts whose hashes prove that a leaf is in the tree of that size (RFC 6962, section 2.1.1).
pub fn inclusion(leaf: u64, size: u64) -> Vec<TreePart> {
    let (mut begin, mut end, mut path) = (0, size, Vec::new());
    while end - begin > 1 {
        let middle = begin + left_size(end - begin);
        if leaf < middle {
            path.push(part(middle, end));
            end = middle;
        } else {
            path.push(part(begin, middle));
            begin = middle;
        }
    }
    path.reverse();
    path
}

/// Returns the parts whose hashes prove that the tree of a size begins with the one of the other size (RFC 6962, section 2.1.2); none
/// where the former is empty or the same.
pub fn consistency(former: u64, size: u64) -> Vec<TreePart> {
    let (mut begin, mut end, mut path) = (0, size, Vec::new());
    if former == 0 || former >= size {
        return path;
    }
    while end != former {
        let middle = begin + left_size(end - begin);
        if former <= middle {
            path.push(part(middle, end));
            end = middle;
        } else {
            path.push(part(begin, middle));
            begin = middle;
        }
    }
    if begin > 0 {
        path.push(part(begin, end));
    }
    path.reverse();
    path
}

/// How many leaves are left of the root, where there are so many in all, at least two: the largest power of two below it.
fn left_size(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

fn part(mut begin: u64, end: u64) -> TreePart {
    let mut nodes = TreePart::new();
    while begin < end {
        let level = (end - begin).ilog2();
        nodes.push(TreeNode { level, index: begin >> level });
        begin += 1 << level;
    }
    nodes
}

/// Returns the hash of a part, of those of its subtrees, in their order.
pub fn join(hashes: &[TreeHash]) -> TreeHash {
    let last = hashes.split_last();
    last.map_or_else(TreeHash::of_empty_tree, |(last, before)| {
        before.iter().rfold(*last, |right, left| TreeHash::of_children(left, &right))
    })
}

/// Whether a path proves that a leaf is in the tree with that root (RFC 9162, section 2.1.3.2).
pub fn proves_inclusion(leaf: &TreeHash, index: u64, size: u64, path: &[TreeHash], root: &TreeHash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node % 2 == 1 || node == last {
            hash = TreeHash::of_children(sibling, &hash);
            while node % 2 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = TreeHash::of_children(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// A tree, by its size and its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// How many leaves it has.
    pub size: u64,
    /// The hash over all of them.
    pub root: TreeHash,
}

/// Whether a path proves that a tree begins with another one (RFC 9162, section 2.1.4.2).
pub fn proves_consistency(former: &TreeHead, head: &TreeHead, path: &[TreeHash]) -> bool {
    if former.size >= head.size {
        return former == head && path.is_empty();
    }
    if former.size == 0 {
        return former.root == TreeHash::of_empty_tree() && path.is_empty();
    }
    let (mut node, mut last) = (former.size - 1, head.size - 1);
    while node % 2 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    // A complete subtree that begins the tree is known already, and not in the path.
    let (first, path) = if node == 0 {
        (former.root, path)
    } else {
        let Some((first, path)) = path.split_first() else { return false };
        (*first, path)
    };
    let (mut of_former, mut of_head) = (first, first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node % 2 == 1 || node == last {
            of_former = TreeHash::of_children(sibling, &of_former);
            of_head = TreeHash::of_children(sibling, &of_head);
            while node % 2 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            of_head = TreeHash::of_children(&of_head, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && of_former == former.root && of_head == head.root
}

/// A tree that grows at its right edge. It keeps the hashes of the complete subtrees that the tree consists of, and no others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeEdge {
    size: u64,
    subtrees: Vec<TreeHash>,
}

impl TreeEdge {
    /// The edge of a tree, as [`to_bytes`](Self::to_bytes) gave it; `None` where it is that of no tree of that size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && hashes.len() == size.count_ones() as usize;
        fits.then(|| Self { size, subtrees: hashes.iter().copied().map(TreeHash).collect() })
    }

    /// The hashes one after the other, of the largest subtree first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.subtrees.iter().flat_map(|hash| hash.0).collect()
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The size and the root of the tree.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: join(&self.subtrees) }
    }

    /// Adds a leaf, and tells of each node that is complete with it, from the leaf upwards.
    pub fn push(&mut self, leaf: TreeHash, mut completed: impl FnMut(TreeNode, TreeHash)) {
        let (mut node, mut hash) = (TreeNode { level: 0, index: self.size }, leaf);
        completed(node, hash);
        while node.index % 2 == 1
            && let Some(left) = self.subtrees.pop()
        {
            hash = TreeHash::of_children(&left, &hash);
            node = TreeNode { level: node.level + 1, index: node.index >> 1 };
            completed(node, hash);
        }
        self.subtrees.push(hash);
        self.size += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn leaf(number: u64) -> TreeHash {
        TreeHash::from_slice(digest(&SHA256, &[&[0][..], &number.to_be_bytes()].concat()).as_ref())
    }

    /// The definition of RFC 6962, word by word.
    fn reference(leaves: &[TreeHash]) -> TreeHash {
        match leaves {
            [] => TreeHash::of_empty_tree(),
            [leaf] => *leaf,
            leaves => {
                let mut middle = 1;
                while middle * 2 < leaves.len() {
                    middle *= 2;
                }
                TreeHash::of_children(&reference(&leaves[..middle]), &reference(&leaves[middle..]))
            }
        }
    }

    struct Grown {
        leaves: Vec<TreeHash>,
        nodes: HashMap<TreeNode, TreeHash>,
        edge: TreeEdge,
    }

    fn grown(size: u64) -> Grown {
        let leaves: Vec<TreeHash> = (0..size).map(leaf).collect();
        let (mut nodes, mut edge) = (HashMap::new(), TreeEdge::default());
        for leaf in &leaves {
            edge.push(*leaf, |node, hash| assert_eq!(nodes.insert(node, hash), None));
        }
        Grown { leaves, nodes, edge }
    }

    impl Grown {
        fn path(&self, parts: &[TreePart]) -> Vec<TreeHash> {
            parts
                .iter()
                .map(|part| join(&part.iter().map(|node| self.nodes[node]).collect::<Vec<_>>()))
                .collect()
        }

        fn head(&self, size: u64) -> TreeHead {
            let size_of = usize::try_from(size).unwrap();
            TreeHead { size, root: reference(&self.leaves[..size_of]) }
        }
    }

    #[test]
    fn roots_are_those_that_the_rfc_defines_and_the_examples_of_others_have() {
        let tree = grown(300);
        for size in 0..=300 {
            let nodes = tree.path(&[whole(size)]);
            assert_eq!(nodes[0], tree.head(size).root, "{size}");
        }
        assert_eq!(tree.edge.head(), tree.head(300));
        let bytes = tree.edge.to_bytes();
        assert_eq!(TreeEdge::from_bytes(300, &bytes), Some(tree.edge));
        assert_eq!(TreeEdge::from_bytes(301, &bytes), None);
        assert_eq!(TreeEdge::from_bytes(300, &bytes[1..]), None);
        // The tests of certificate transparency have these leaves and this root.
        let entries: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let mut edge = TreeEdge::default();
        for entry in entries {
            let hash = digest(&SHA256, &[&[0][..], entry].concat());
            edge.push(TreeHash::from_slice(hash.as_ref()), |_, _| {});
        }
        assert_eq!(
            edge.head().root.to_hex(),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
    }

    #[test]
    fn every_proof_of_small_trees_holds_and_holds_for_nothing_else() {
        let tree = grown(70);
        for size in 1..=70 {
            let head = tree.head(size);
            for index in 0..size {
                let path = tree.path(&inclusion(index, size));
                let is_in = |leaf, index, size| proves_inclusion(leaf, index, size, &path, &head.root);
                let own = &tree.leaves[usize::try_from(index).unwrap()];
                assert!(is_in(own, index, size), "{index} of {size}");
                let other = leaf(100);
                assert!(!is_in(&other, index, size) && !is_in(own, size, size));
                assert!(!is_in(own, index ^ 1, size) || size == 1, "{index} of {size}");
            }
            for former in 0..=size {
                let path = tree.path(&consistency(former, size));
                let former = tree.head(former);
                assert!(proves_consistency(&former, &head, &path), "{former:?} {size}");
                let other = TreeHead { root: leaf(100), ..former };
                assert!(!proves_consistency(&other, &head, &path), "{former:?} {size}");
                let longer = [&path[..], &[leaf(100)]].concat();
                assert!(!proves_consistency(&former, &head, &longer), "{former:?} {size}");
                if let Some((_, shorter)) = path.split_last() {
                    assert!(!proves_consistency(&former, &head, shorter), "{former:?} {size}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_changed_hash_proves_nothing(size in 2u64..2_000, at in any::<u64>(), bit in 0usize..256) {
            let tree = grown(size);
            let head = tree.head(size);
            let flip = |hash: &mut TreeHash| hash.0[bit / 8] ^= 1 << (bit % 8);

            let index = at % size;
            let mut path = tree.path(&inclusion(index, size));
            let own = tree.leaves[usize::try_from(index).unwrap()];
            prop_assert!(proves_inclusion(&own, index, size, &path, &head.root));
            let changed = usize::try_from(at).unwrap() % path.len();
            flip(&mut path[changed]);
            prop_assert!(!proves_inclusion(&own, index, size, &path, &head.root));

            let former = tree.head(1 + at % (size - 1));
            let mut path = tree.path(&consistency(former.size, size));
            prop_assert!(proves_consistency(&former, &head, &path));
            let changed = usize::try_from(at).unwrap() % path.len();
            flip(&mut path[changed]);
            prop_assert!(!proves_consistency(&former, &head, &path));
        }
    }
}
