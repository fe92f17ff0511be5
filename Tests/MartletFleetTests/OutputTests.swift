import MartletTestKit
import Testing

@testable import MartletFleet

@Suite struct OutputTests {
    @Test func `Equal outputs stand together, the most of them first`() {
        let groups = OutputGroups([
            ("web2", "a"), ("db1", "b"), ("web1", "a"), ("db2", "c"), ("web3", "a"), ("db3", "b"),
        ])
        #expect(groups.map(\.nodes) == ["web[1-3]", "db[1,3]", "db2"])
        #expect(groups.map(\.content) == ["a", "b", "c"])
        #expect(groups[0].names == ["web2", "web1", "web3"])
        #expect(OutputGroups([(String, String)]()).isEmpty)
        // Of the same size: who came first.
        #expect(OutputGroups([("x", 1), ("y", 2)]).map(\.content) == [1, 2])
    }

    @Test func `A thousand outputs are grouped`() {
        let text = String(repeating: "a line of some output\n", count: 50)
        let groups = OutputGroups((0..<1_000).map { ("web\(1000 + $0)", $0 % 100 == 7 ? text + "\($0 % 3)\n" : text) })
        #expect(groups[0].names.count == 990)
        #expect(groups.reduce(0) { $0 + $1.names.count } == 1_000)
        #expect(groups.differences().count == groups.count - 1)
    }

    @Test func `What differs from the most is shown line by line`() {
        let lines = (1...20).map { "line \($0)" }
        var other = lines
        other[9] = "another"
        other.append("more")
        let groups = OutputGroups([
            ("a", lines.joined(separator: "\n")), ("b", lines.joined(separator: "\n")),
            ("c", other.joined(separator: "\n") + "\n"),
        ])
        let differences = groups.differences(context: 1)
        #expect(differences.count == 1 && differences[0].group.nodes == "c")
        #expect(
            "\(differences[0].difference)" == """
                @@ -9,3 +9,3 @@
                 line 9
                -line 10
                +another
                 line 11
                @@ -20,1 +20,2 @@
                 line 20
                +more
                """)
        #expect(LineDifference(from: lines, to: lines).hunks.isEmpty)
        #expect(LineDifference(from: [], to: ["a"]).hunks.map(\.lines) == [[.added("a")]])
        #expect(LineDifference(from: ["a"], to: []).hunks.map(\.lines) == [[.removed("a")]])
    }

    @Test(arguments: 0..<60) func `A difference makes the one of the other`(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let old = (0..<Int.random(in: 0...30, using: &random)).map { _ in "\(Int.random(in: 0...5, using: &random))" }
        let new = (0..<Int.random(in: 0...30, using: &random)).map { _ in "\(Int.random(in: 0...5, using: &random))" }
        for context in [0, 1, 3, 100] {
            var (made, position) = ([String](), 0)
            for hunk in LineDifference(from: old, to: new, context: context).hunks {
                made += old[position..<(hunk.old.start - 1)]
                #expect(made.count == hunk.new.start - 1)
                position = hunk.old.start - 1 + hunk.old.count
                for line in hunk.lines {
                    switch line {
                    case .common(let text), .added(let text): made.append(text)
                    case .removed: break
                    }
                }
            }
            made += old[position...]
            #expect(made == new)
        }
    }

    @Test func `A difference of much is bounded`() {
        let old = (0..<6_000).map { "a\($0)" }
        let new = (0..<6_000).map { "b\($0)" }
        #expect(LineDifference(from: ["same"] + old, to: ["same"] + new).hunks.map(\.lines.count) == [12_001])
    }
}
