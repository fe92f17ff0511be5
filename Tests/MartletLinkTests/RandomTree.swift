import MartletTestKit
import MartletWire

/// A random tree of contexts, kept the naive way: lists of numbers.
struct RandomTree {
    private(set) var nodes: [[UInt32]] = [[]]

    /// - Parameter width: how often a new context's parent is one of the newest; a small number makes deep trees.
    init(count: Int, random: inout SeededGenerator) {
        var children: [[UInt32]: UInt32] = [:]
        while nodes.count < count {
            let parent = nodes.randomElement(using: &random)!
            guard parent.count < 12 else { continue }
            children[parent, default: 0] += UInt32.random(in: 1...2, using: &random)
            nodes.append(parent + [children[parent]!])
        }
    }

    static func address(_ components: [UInt32]) -> ContextAddress { ContextAddress(components)! }
}
