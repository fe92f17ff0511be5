import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

@Suite(.leakChecked) struct CancellationTests {
    @Test func `Cancelling the caller cancels the far task`() async throws {
        try await TestFolder.with { scratch in
            try await withLocalContext { _, context in
                let far = WaitForCancellation(started: scratch.file("started"), cancelled: scratch.file("cancelled"))
                let call = Task { try await context.call(far) }
                await eventually { scratch.has("started") }
                call.cancel()
                await #expect(throws: CancellationError.self) { try await call.value }
                await eventually { scratch.has("cancelled") }
                #expect(context.node.openStreams == 0)
            }
        }
    }

    @Test func `A call by a task that is cancelled already does not run`() async throws {
        try await TestFolder.with { scratch in
            try await withLocalContext { _, context in
                let far = WaitForCancellation(started: scratch.file("started"), cancelled: scratch.file("cancelled"))
                let call = Task {
                    withUnsafeCurrentTask { $0?.cancel() }
                    try await context.call(far)
                }
                await #expect(throws: CancellationError.self) { try await call.value }
                try await context.call(Nothing())
                await eventually { scratch.has("started") == scratch.has("cancelled") }
            }
        }
    }

    @Test func `Closing a context cancels the tasks that run in it, and lets them finish`() async throws {
        try await TestFolder.with { scratch in
            try await withLocalContext { _, context in
                let far = WaitForCancellation(started: scratch.file("started"), cancelled: scratch.file("cancelled"))
                let call = Task { try await context.call(far) }
                await eventually { scratch.has("started") }
                await context.close()
                #expect(scratch.has("cancelled"))
                await #expect(throws: (any Error).self) { try await call.value }
            }
        }
    }

    @Test func `The end of the scope cancels the tasks that run`() async throws {
        try await TestFolder.with { scratch in
            let call = try await withMartlet { martlet in
                let context = try await martlet.connect(.local)
                let far = WaitForCancellation(started: scratch.file("started"), cancelled: scratch.file("cancelled"))
                let call = Task { try await context.call(far) }
                await eventually { scratch.has("started") }
                return call
            }
            #expect(scratch.has("cancelled"))
            await #expect(throws: (any Error).self) { try await call.value }
        }
    }
}
