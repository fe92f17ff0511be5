import Foundation
import MartletMacros
import MartletTestKit
import MartletTestSupport
import Testing

/// Functions that `@Remote` made callable are called.
@Suite(.leakChecked) struct RemoteCallTests {
    @Test(arguments: Way.available)
    func `A function runs in a context, with labels and default values`(way: Way) async throws {
        try await withContext(way) { context in
            let result = try await kernels(on: context, 3)
            #expect(result.dropLast() == ["/boot", "3", "true"])
            #expect(result.last == "\(context.processID)")
            let other = try await kernels(on: context, in: "/", 0, newest: false, deadline: .seconds(20))
            #expect(other.dropLast() == ["/", "0", "false"])
            #expect(try kernels(1).last == "\(getpid())")
            #expect(try await processNumber(on: context) == context.processID)
            #expect(processNumber() == getpid())
        }
    }

    @Test func `Functions of one name, methods, and names that could hide others are told apart`() async throws {
        try await withLocalContext { _, context in
            let next = try await shift(on: context, 1)
            #expect(next == 2)
            #expect(try await shift(on: context, "a") == "a!")
            #expect(try await shift(on: context, by: 1, deadline: 2, context: 3, default: 4) == 10)
            #expect(try await run(on: context, in: "x", 0) == "ran x")
            #expect(try await takes(on: context, [1, 2], with: ["a": [1]]) == 3)
            #expect(try await takes(on: context, nil, with: [:]) == 0)
            #expect(try await Tools.Package.run(on: context, "x") == "package x")
            #expect(try await Tools.Package.version(on: context, of: "abc") == Tools.Version(major: 3))
            #expect(try await Library.sum(on: context) == 3)
            #expect(try await Library.twice(on: context, 4) == 8)
        }
    }

    @Test func `A function may have the context that it runs in, the main actor, and contexts below`() async throws {
        try await withLocalContext { _, context in
            #expect(try await place(on: context, of: "here:") == "here: \(context.address)")
            #expect(try await countOnMain(on: context) == 1)
            #expect(try await countOnMain(on: context) == 2)
            let numbers = try await nested(on: context, depth: 2)
            #expect(numbers.first == context.processID)
            #expect(Set(numbers).count == 3)
        }
    }

    @Test func `Errors, deadlines and cancellation are as with any call`() async throws {
        try await withLocalContext { _, context in
            await #expect(throws: DiskError(path: "/full")) { try await fails(on: context, for: "/full") }
            let error = try await expectError(.taskFailed) { try await kernels(on: context, in: "/none", 1) }
            #expect(error.remoteType?.contains("PlainError") == true)
            try await expectError(.deadlineExceeded) {
                try await waits(on: context, deadline: .milliseconds(200))
            }
            let call = Task { try await waits(on: context) }
            await eventually { (try? await context.status().running) == 1 }
            call.cancel()
            await #expect(throws: CancellationError.self) { try await call.value }
            await eventually { (try? await context.status().running) == 0 }
        }
    }

    @Test func `The task itself goes wherever a task goes`() async throws {
        try await withLocalContext { _, context in
            let chain = context.makeChain()
            let first = try await chain.add(Remote_kernels(in: "/x", 2))
            let second = try await chain.add(Remote2_shift("b"))
            #expect(try await first.value().first == "/x")
            #expect(try await second.value() == "b!")
            #expect(try await context.call(Tools.Package.Remote_run("y")) == "package y")
        }
    }

    @Test func `A group calls it in every member, and each has its result`() async throws {
        try await withLocalContext { martlet, first in
            let second = try await martlet.connect(.local)
            let group = Group([first, second])
            let numbers = try await processNumber(on: group, deadline: .seconds(20)).get()
            #expect(numbers == [first.processID, second.processID])
            let results = try await kernels(on: group, in: "/none", 1)
            #expect(results.failures.count == 2)
            let places = try await place(on: group, of: "x").get()
            #expect(places == ["x \(first.address)", "x \(second.address)"])
            let late = try await waits(on: group, deadline: .milliseconds(300))
            #expect(late.failures.count == 2)
        }
    }
}
