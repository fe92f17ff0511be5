import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

@Suite(.leakChecked) struct OutputTests {
    @Test(arguments: Say.Way.allCases)
    func `What a context prints comes back as a line with its route and pipe`(way: Say.Way) async throws {
        let log = OutputLog()
        try await withLocalContext(log.options) { _, context in
            let below = try await context.connect(.local)
            try await context.call(Say(way: way, text: "from above: grüße"))
            try await below.call(Say(way: way, text: "from below"))
            await eventually { log.line(with: "from above") != nil && log.line(with: "from below") != nil }
            let above = try #require(log.line(with: "from above"))
            #expect(above.text == "from above: grüße")
            #expect(above.route == context.route)
            #expect(above.address == context.address)
            #expect(above.pipe == (way == .descriptorTwo || way == .grandchild ? .error : .output))
            let other = try #require(log.line(with: "from below"))
            #expect(other.route.steps == ["local", "local"])
            #expect(other.address == below.address)
        }
    }

    @Test func `All that was printed before the end comes, in order`() async throws {
        let log = OutputLog()
        try await withLocalContext(log.options) { _, context in
            try await context.call(SayMuch(lines: 1500))
            await context.close()
        }
        #expect(log.texts() == (0..<1500).map { "line \($0)" })
    }

    @Test func `A last line without an end comes too`() async throws {
        let log = OutputLog()
        try await withLocalContext(log.options) { _, context in
            try await context.call(SayUnfinished(pipe: 1, text: "no end out"))
            try await context.call(SayUnfinished(pipe: 2, text: "no end err"))
            await context.close()
        }
        await eventually { log.line(with: "no end out") != nil && log.line(with: "no end err") != nil }
    }

    @Test(arguments: [Say.Way.print, .descriptorTwo])
    func `A line comes whole however long it is, in pieces`(way: Say.Way) async throws {
        let log = OutputLog()
        let texts = [("a", 65_216), ("b", 65_217), ("c", 65_536), ("d", 200_000)]
        try await withLocalContext(log.options) { _, context in
            for (letter, count) in texts {
                try await context.call(Say(way: way, text: String(repeating: letter, count: count)))
            }
            await context.close()
        }
        func all() -> String { (log.texts(.output) + log.texts(.error)).joined() }
        await eventually { all().utf8.count >= texts.reduce(0) { $0 + $1.1 } }
        for (letter, count) in texts { #expect(all().count { String($0) == letter } == count) }
    }

    @Test func `A flood of output stalls no call`() async throws {
        let log = OutputLog()
        try await withLocalContext(log.options) { _, context in
            let flood = Task { try await context.call(SayMuch(lines: 200_000)) }
            for number in 0..<50 {
                #expect(try await context.call(Add(a: number, b: 1), deadline: .seconds(10)) == number + 1)
                _ = try await context.ping(deadline: .seconds(10))
            }
            try await flood.value
        }
    }

    @Test func `Output from behind ssh is told apart from ssh's own`() async throws {
        let log = OutputLog()
        try await withSSHContext(log.options) { context in
            try await context.call(Say(way: .print, text: "out"))
            try await context.call(Say(way: .descriptorTwo, text: "err"))
            try await context.call(Say(way: .grandchild, text: "grandchild"))
            await eventually { log.all.count >= 3 }
            #expect(log.texts() == ["out"])
            #expect(log.texts(.error) == ["err", "grandchild"])
            #expect(log.all.allSatisfy { $0.route == context.route })
        }
    }
}
