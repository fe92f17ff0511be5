import MartletLink
import MartletWire
import Testing

@Suite struct StreamAuthorityTests {
    enum Relation: CaseIterable {
        case parent, ancestor, root, itself, sibling, cousin, child, descendant

        /// Who opens a stream to /2/2/2.
        var opener: [UInt32] {
            switch self {
            case .parent: [2, 2]
            case .ancestor: [2]
            case .root: []
            case .itself: [2, 2, 2]
            case .sibling: [2, 2, 3]
            case .cousin: [1, 2, 2, 2]
            case .child: [2, 2, 2, 1]
            case .descendant: [2, 2, 2, 1, 9]
            }
        }
    }

    @Test(arguments: StreamKind.allCases, Relation.allCases)
    func `A stream may be opened as the table says and not otherwise`(kind: StreamKind, relation: Relation) {
        let isAbove = [.parent, .ancestor, .root].contains(relation)
        let isBelow = [.child, .descendant].contains(relation)
        let expected =
            switch kind {
            case .call, .command, .connect, .disconnect, .status, .detach, .dial, .listen, .join: isAbove
            case .echo: isAbove || isBelow
            case .channel, .invoke: relation != .itself
            case .fetch: isBelow
            case .output, .log: false
            }
        let refusal = StreamAuthority.refusal(
            of: kind,
            from: RandomTree.address(relation.opener),
            to: RandomTree.address([2, 2, 2])
        )
        #expect((refusal == nil) == expected)
    }

    @Test(arguments: StreamKind.allCases)
    func
        `A controller is asked for nothing but an echo, to take output and logs, for channel ends and actors, and for what it offers`(
            kind: StreamKind
        )
    {
        let expected = [.echo, .output, .log, .channel, .invoke, .fetch].contains(kind)
        let below = RandomTree.address([7, 1])
        #expect((StreamAuthority.refusal(of: kind, from: below, to: .root) == nil) == expected)
        #expect(StreamAuthority.refusal(of: kind, from: .root, to: .root) != nil)
    }
}
