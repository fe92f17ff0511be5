import Foundation
import Martlet
import MartletFragment
import MartletTestKit
import Testing

@Suite(.leakChecked) struct SwiftFragmentTests {
    @Test func `A fragment answers over its channel, and then is at its end`() async throws {
        try await withContext { context in
            let fragment = try await context.many("answer")
            try await fragment.send(1)
            #expect(try await fragment.receive() == 2)
            #expect(try await fragment.receive() == nil)
            #expect(try await fragment.receive() == nil)
            try await fragment.finished()
            try await fragment.waitClose(timeout: .seconds(30))
            #expect(!fragment.isOpen)
        }
    }

    @Test func `An error that nobody catches is thrown once, behind what was sent before`() async throws {
        try await withContext { context in
            let fragment = try await context.many("throw")
            #expect(try await fragment.receive() == 17)
            let error = try await #require(throws: FragmentError.self) { _ = try await fragment.receive() }
            #expect(error.type == "Boom")
            #expect(error.message == "many.swift threw Boom: no luck")
            #expect(error.route == context.route)
            #expect(try await fragment.receive() == nil)
            await #expect(throws: FragmentError.self) { try await fragment.finished() }
            let typed = try await context.many("typed")
            let second = try await #require(throws: FragmentError.self) { _ = try await typed.receive() }
            #expect(second.message == "many.swift threw Typed: bad(2)")
        }
    }

    @Test func `A crash and an exit code are told, with the last lines`() async throws {
        let lines = Lines()
        try await withContext(lines.options) { context in
            let crash = try await context.many("crash")
            let error = try await #require(throws: FragmentError.self) { _ = try await crash.receive() }
            #expect(error.message.hasPrefix("many.swift was ended by signal "))
            #expect(error.lastErrors.contains { $0.hasSuffix("many.swift:15: Fatal error: boom") }, "\(error)")
            #expect(error.type == nil)
            let exit = try await context.many("exit")
            let code = try await #require(throws: FragmentError.self) {
                try await exit.waitClose(timeout: .seconds(30))
            }
            #expect(code.termination == .exited(3))
            #expect(code.description == "many.swift ended with exit code 3 [\(context.route)]\n    why it does")
        }
        // Nobody asked for the lines: they are the context's output.
        #expect(lines.all.contains("error: why it does"))
    }

    @Test func `What it prints comes by line and pipe, and it has arguments, environment and no input`() async throws {
        try await withContext { context in
            let lines = Lines()
            let fragment = try await context.many("print", "a b", "", onLine: lines.onLine)
            try await fragment.finished()
            #expect(lines.all.filter { $0.hasPrefix("output") } == ["output: out a b, set", "output: read: nothing"])
            #expect(lines.all.filter { $0.hasPrefix("error") } == ["error: err"])
        }
    }

    @Test func `This end may finish and still receive`() async throws {
        try await withContext { context in
            let fragment = try await context.many("sum")
            for number in 1...1000 { try await fragment.send(number) }
            fragment.channel.finish()
            var items: [Int] = []
            for try await item in fragment { items.append(item) }
            #expect(items == [500_500, -1])
            try await fragment.finished()
        }
    }

    @Test func `An item of another type ends an iteration with an error`() async throws {
        try await withContext { context in
            let fragment = try await context.many("sum", sending: String.self)
            try await fragment.send("no number")
            let error = try await #require(throws: FragmentError.self) { _ = try await fragment.receive() }
            #expect(error.type == "FragmentChannelError")
            #expect(error.message.contains("an item of the channel is no Int"), "\(error)")
        }
    }

    @Test func `Large items pass both ways, however slow the reader`() async throws {
        try await withContext { context in
            let fragment = try await context.many("echo", sending: [UInt8].self, receiving: [UInt8].self)
            let sending = Task {
                for number in 0..<16 { try await fragment.send([UInt8](repeating: UInt8(number), count: 1 << 20)) }
                fragment.channel.finish()
            }
            for number in 0..<16 {
                #expect(try await fragment.receive() == [UInt8](repeating: UInt8(number), count: 1 << 20))
                // Slower than the writer.
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(try await fragment.receive() == nil)
            try await sending.value
        }
    }

    @Test func `A writer whose items nobody takes waits`() async throws {
        try await withFolder { folder in
            try await withContext { context in
                let fragment = try await context.many("flood", "\(folder)/count", receiving: [UInt8].self)
                func count() -> Int {
                    Int((try? String(contentsOfFile: "\(folder)/count", encoding: .utf8)) ?? "") ?? 0
                }
                var (before, steady) = (0, 0)
                // What is on the way has no bound but the windows': it has stopped when it stays the same for a second.
                await eventually(within: .seconds(60)) {
                    let now = count()
                    (before, steady) = (now, now == before && now > 0 ? steady + 1 : 0)
                    try await Task.sleep(for: .milliseconds(50))
                    return steady > 20
                }
                #expect(before < 40, "MiB without a reader")
                var items = 0
                for try await item in fragment {
                    items += 1
                    #expect(item.count == 1 << 20 && item.first == UInt8(items))
                }
                #expect(items == 200)
            }
        }
    }

    @Test func `A fragment that closes its channel ends it, though it goes on`() async throws {
        try await withContext { context in
            let fragment = try await context.many("close")
            #expect(try await fragment.receive() == 1)
            #expect(try await fragment.receive() == nil)
            await #expect(throws: MartletError.self) { try await fragment.send(1) }
            fragment.cancel()
            await #expect(throws: CancellationError.self) { try await fragment.finished() }
        }
    }

    @Test func `To close this end ends the far loop`() async throws {
        try await withContext { context in
            let lines = Lines()
            let fragment = try await context.many("until closed", onLine: lines.onLine)
            for number in 0..<100 { #expect(try await fragment.receive() == number) }
            fragment.close()
            await eventually(within: .seconds(30), "the far loop's end") { lines.all.count == 2 }
            fragment.cancel()
            #expect(lines.all == ["output: the channel is closed, true", "output: end"])
            #expect(try await fragment.receive() == nil)
        }
    }

    @Test func `To cancel it leaves no process`() async throws {
        try await withContext { context in
            let marker = makeMarker()
            let fragment = try await context.many("wait", marker)
            #expect(try await fragment.receive() ?? 0 > 1)
            await eventually { ProcessTable.carrying(marker).contains { $0.name == "sleep" } }
            fragment.cancel()
            await #expect(throws: CancellationError.self) { try await fragment.finished() }
            #expect(try await fragment.receive() == nil)
            await expectNothing(marker)
            // The context is as before.
            let next = try await context.many("answer")
            try await next.send(1)
            #expect(try await next.receive() == 2)
        }
    }

    @Test func `With the context ends what runs beside it`() async throws {
        let marker = makeMarker()
        try await withContext { context in
            let fragment = try await context.many("wait", marker)
            #expect(try await fragment.receive() ?? 0 > 1)
        }
        await expectNothing(marker)
    }

    @Test func `An agent that is killed leaves no fragment`() async throws {
        try await withContext { context in
            let marker = makeMarker()
            let fragment = try await context.many("wait", marker)
            #expect(try await fragment.receive() ?? 0 > 1)
            await eventually { ProcessTable.carrying(marker).contains { $0.name == "sleep" } }
            try #require(ProcessTable.entry(of: context.facts.processID)).send(signal: SIGKILL)
            let error = try await #require(throws: MartletError.self) { _ = try await fragment.receive() }
            #expect(error.code == .contextLost)
            #expect(try await fragment.receive() == nil)
            await expectNothing(marker)
        }
    }

    @Test func `A time limit ends it`() async throws {
        try await withContext { context in
            let marker = makeMarker()
            var options = FragmentOptions()
            options.arguments = ["wait", marker]
            options.timeout = .milliseconds(300)
            let fragment = try context.exec(try await many(), options: options, receiving: Int.self)
            let error = try await #require(throws: FragmentError.self) { try await fragment.finished() }
            #expect(error.termination == .timedOut(after: .milliseconds(300)))
            await expectNothing(marker)
        }
    }

    @Test func `A folder that is not there is named`() async throws {
        try await withContext { context in
            var options = FragmentOptions()
            options.directory = "/no/such/folder"
            let fragment = try context.exec(try await many(), options: options, receiving: Int.self)
            await #expect(throws: MartletError.self) { _ = try await fragment.receive() }
            let error = try await #require(throws: MartletError.self) { try await fragment.finished() }
            #expect(error.code == .commandNotStarted)
            #expect(error.message.contains("/no/such/folder"))
        }
    }
}
