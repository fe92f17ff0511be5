public import Testing

/// Checks that a test leaves nothing behind: no descriptor, no child process, no thread.
///
/// ```swift
/// @Suite(.leakChecked) struct ConnectTests { ... }
/// ```
/// After the test function (all its cases) the check waits up to five seconds until everything that was new at its end is
/// gone, and otherwise records an issue that names each descriptor's target, each process's arguments and each thread.
///
/// Checked tests run one at a time in the whole process, whatever suite they are in; `.serialized` is not needed, and the
/// time spent waiting for the turn does not count against `.timeLimit`. Unchecked tests run beside them. So the rule is:
/// **a suite that opens descriptors or starts processes is checked, a suite that is not checked does neither.** A short
/// breach does no harm, because the check forgives what is gone within its five seconds.
///
/// A program that lost its parent is found too if the variable `MARTLET_TEST_RUN` is set, to a unique value, in the
/// environment of the test run, as `bin/test` does. Threads are counted, because pools grow when they are first needed and
/// keep what they have; threads whose name begins with one of `ownThreads` are not forgiven.
public struct LeakCheck: TestTrait, SuiteTrait, TestScoping {
    /// How many new threads one test may leave, for the pools of the Swift runtime and libdispatch.
    public var threadAllowance: Int

    /// How the names of threads begin that must all be gone at the end of the test.
    public var ownThreads: [String]

    /// How long to wait until everything is gone.
    public var limit: Duration

    /// Applies to each test function in a suite and its nested suites.
    public var isRecursive: Bool { true }

    /// Checks test functions only; around all cases of one, outside its time limit.
    public func scopeProvider(for test: Test, testCase: Test.Case?) -> LeakCheck? {
        test.isSuite || testCase != nil ? nil : self
    }

    /// Waits for the turn, runs the test and checks.
    public func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        await Self.turn.acquire()
        defer { Self.turn.release() }
        try await check(sourceLocation: test.sourceLocation, function)
    }

    /// Runs `body` and checks that it leaves nothing behind, without waiting for a turn.
    ///
    /// - Parameters:
    ///   - sourceLocation: Where an issue is recorded. Default the caller.
    ///   - body: What to check.
    /// - Throws: What `body` throws, after the check.
    public func check<Result, Failure: Error>(
        sourceLocation: SourceLocation = #_sourceLocation,
        isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        await ResourceSnapshot.warmUp()
        let before = ResourceSnapshot.capture()
        let result: Swift.Result<Result, Failure>
        do throws(Failure) {
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        let leaks = await leaks(since: before)
        if !leaks.isEmpty {
            let list = leaks.map { "\n  \($0)" }.joined()
            Issue.record("left behind \(limit) after the test:\(list)", sourceLocation: sourceLocation)
        }
        return try result.get()
    }

    /// The process has one table of descriptors, so there is one turn for it.
    private static let turn = AsyncLock()

    /// Waits until what is new is gone, and describes what is not.
    private func leaks(since before: ResourceSnapshot) async -> [String] {
        // Only what is there now can be this test's; what appears later is somebody else's.
        let suspects = ResourceSnapshot.capture().new(since: before).withoutSharedTimers()
        return await uncancelled { [self] in
            var left = suspects
            _ = await poll(within: limit) {
                left = ResourceSnapshot.capture().common(with: left)
                return descriptions(of: left).isEmpty
            }
            return descriptions(of: left)
        }
    }

    private func descriptions(of left: ResourceSnapshot) -> [String] {
        var lines = left.descriptors.sorted { $0.number < $1.number }.map { "descriptor \($0.number): \($0.target)" }
        lines += left.processes.sorted { $0.pid < $1.pid }.map(\.description)
        let own = left.threads.filter { thread in ownThreads.contains { thread.name.hasPrefix($0) } }
        lines += own.map { "thread \($0.number): \($0.name)" }
        let others = left.threads.count - own.count
        if others > threadAllowance {
            let names = Set(left.threads.map(\.name)).sorted().joined(separator: ", ")
            lines.append("\(others) new threads, where \(threadAllowance) are allowed: \(names)")
        }
        return lines
    }
}

extension Trait where Self == LeakCheck {
    /// Each test is checked to leave no descriptor, process or thread behind. See ``LeakCheck``.
    public static var leakChecked: LeakCheck { .leakChecked() }

    /// Each test is checked to leave no descriptor, process or thread behind. See ``LeakCheck``.
    ///
    /// - Parameters:
    ///   - threadAllowance: How many new threads of others' pools one test may leave. Default 12.
    ///   - ownThreads: How the names of threads begin that must be gone. Default `martlet-`.
    ///   - limit: How long to wait until everything is gone. Default 10 s: threads that have nothing to do end after 5.
    public static func leakChecked(
        threadAllowance: Int = 12,
        ownThreads: [String] = ["martlet-"],
        within limit: Duration = .seconds(10)
    ) -> LeakCheck {
        LeakCheck(threadAllowance: threadAllowance, ownThreads: ownThreads, limit: limit)
    }
}
