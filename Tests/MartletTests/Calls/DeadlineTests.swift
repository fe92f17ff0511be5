import Glibc
import MartletTestKit
import MartletTestSupport
import MartletWire
import Testing

@testable import Martlet

@Suite(.leakChecked) struct DeadlineTests {
    @Test func `A deadline ends the wait here and cancels the task there, and the link stays usable`() async throws {
        try await TestFolder.with { scratch in
            try await withLocalContext { _, context in
                let task = WaitForCancellation(started: scratch.file("started"), cancelled: scratch.file("cancelled"))
                let error = try await expectError(.deadlineExceeded) {
                    try await context.call(task, deadline: .milliseconds(300))
                }
                #expect(error.route == context.route)
                await eventually { scratch.has("cancelled") }
                #expect(try await context.call(Add(a: 1, b: 1)) == 2)
            }
        }
    }

    @Test func `The far side keeps the deadline though the caller's clock stands still`() async throws {
        try await TestFolder.with { scratch in
            try await withLocalContext { _, context in
                let task = WaitForCancellation(started: scratch.file("started"), cancelled: scratch.file("cancelled"))
                let name = try TaskRegistry.name(of: WaitForCancellation.self)
                let pending = PendingCall(context.node)
                let request = try CallRequest.encode(task, named: name, deadline: 100, headers: CallHeaders())
                let key = context.node.open(to: context.address, .call, owner: pending, payload: request, flags: .last)
                #expect(key != nil)
                let outcome = await pending.outcome()
                guard case .reset(let reason) = outcome else {
                    Issue.record("\(outcome)")
                    return
                }
                #expect(reason.code == .deadlineExceeded)
                await eventually { scratch.has("cancelled") }
            }
        }
    }

    @Test func `The caller keeps the deadline though the far side stands still`() async throws {
        try await withLocalContext { _, context in
            kill(context.processID, SIGSTOP)
            let error = try await expectError(.deadlineExceeded) {
                try await context.call(Nothing(), deadline: .milliseconds(100))
            }
            #expect(error.message.contains("Nothing"))
            try await expectError(.deadlineExceeded) { _ = try await context.ping(deadline: .milliseconds(50)) }
            kill(context.processID, SIGCONT)
            try await context.call(Nothing())
        }
    }

    @Test func `A deadline that is not reached leaves nothing behind`() async throws {
        try await withLocalContext { _, context async throws in
            for number in 0..<100 {
                #expect(try await context.call(Add(a: number, b: 1), deadline: .seconds(60)) == number + 1)
            }
            #expect(context.node.openStreams == 0)
        }
    }
}
