import CMartlet
import MartletTestKit
import Testing

/// Starts the guard of child processes before a test, so that the leak check inside does not take it for a leak: it
/// lives as long as this process.
struct GuardStarted: TestTrait, SuiteTrait, TestScoping {
    var isRecursive: Bool { true }

    /// Around all cases of a test function, as the leak check.
    func scopeProvider(for test: Test, testCase: Test.Case?) -> GuardStarted? {
        test.isSuite || testCase != nil ? nil : self
    }

    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        #expect(martlet_guard_start() == 0)
        #expect(nowhere >= 0)
        try await function()
    }
}

extension Trait where Self == GuardStarted {
    static var guardStarted: GuardStarted { GuardStarted() }
}

extension Trait where Self == LeakCheck {
    /// No descriptor, process or thread of a reactor may be left.
    static var nothingLeft: LeakCheck { .leakChecked(ownThreads: ["reactor"]) }
}
