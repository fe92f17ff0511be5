import Foundation
import Glibc
import MartletTestKit
import Synchronization
import Testing

@Suite(.leakChecked) struct LeakCheckTests {
    private let check = LeakCheck.leakChecked(within: .milliseconds(200))

    @Test func `a descriptor that stays open is named by its target`() async {
        let descriptor = Descriptor()
        await withKnownIssue {
            await check.check { descriptor.open("/etc/hostname") }
        } matching: { issue in
            issue.comments.contains { $0.rawValue.contains("/etc/hostname") }
        }
        descriptor.close()
    }

    @Test func `a child that still runs is named by its arguments`() async {
        var child: Task<ProgramResult, any Error>?
        await withKnownIssue {
            child = await check.check {
                let child = Task { try await runProgram(["sleep", "86399"], within: .seconds(60)) }
                await eventually { !ProcessTable.carrying("86399").isEmpty }
                return child
            }
        } matching: { issue in
            issue.comments.contains { $0.rawValue.contains("sleep 86399") }
        }
        child?.cancel()
        _ = await child?.result
    }

    @Test func `what is closed soon after the test is forgiven`() async {
        let descriptor = Descriptor()
        let check = LeakCheck.leakChecked(within: .seconds(10))
        await check.check {
            descriptor.open("/etc/hostname")
            DispatchQueue.global().asyncAfter(deadline: .now() + 0.1) { descriptor.close() }
        }
    }

    @Test func `a condition that never holds is an issue at its deadline`() async {
        await withKnownIssue {
            await eventually(within: .milliseconds(30), "the end of the world") { false }
        } matching: { issue in
            issue.comments.contains { $0.rawValue.contains("the end of the world") }
        }
    }
}

@Suite(.leakChecked) struct LeakCheckTurnTests {
    private static let running = Mutex(0)

    @Test func `one checked test runs at a time`() async throws { try await expectToBeAlone() }
    @Test func `and then another`() async throws { try await expectToBeAlone() }

    private func expectToBeAlone() async throws {
        Self.running.withLock { $0 += 1 }
        for _ in 1...20 {
            #expect(Self.running.withLock { $0 } == 1)
            try await Task.sleep(for: .milliseconds(1))
        }
        Self.running.withLock { $0 -= 1 }
    }
}

/// A descriptor that a test opens and another thread closes.
private final class Descriptor: @unchecked Sendable {
    // Opened before and closed after the hand-over, never at once.
    private var number: Int32 = -1

    func open(_ path: String) { number = Glibc.open(path, O_RDONLY | O_CLOEXEC) }
    func close() { _ = Glibc.close(number) }
}
