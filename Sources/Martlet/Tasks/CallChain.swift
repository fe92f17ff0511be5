import MartletWire
import Synchronization

/// Calls that run in a context one after the other, and stop at the first that fails.
///
///     let chain = web.makeChain()
///     _ = try await chain.add(StopService(name: "app"))
///     _ = try await chain.add(CopyFiles(…))
///     try await chain.call(StartService(name: "app"))
///
/// Nobody waits for one call to be over before the next is sent: the context itself leaves out what follows a failure, so
/// a sequence of steps costs one round trip.
public final class CallChain: Sendable {
    struct Request: Codable, Sendable {
        var number: Int
        /// As in ``CallRequest``.
        var call: [UInt8]
    }

    struct Answer: Codable, Sendable {
        var number: Int
        /// A ``CallAnswer``.
        var answer: [UInt8]
    }

    private let context: Context
    private let end: ChannelEnd<Request, Answer>
    private let answers: ChainAnswers

    init(_ context: Context) {
        self.context = context
        let (here, there): (ChannelEnd<Request, Answer>, ChannelEnd<Answer, Request>) = context.runtime.makeChannel()
        end = here
        let answers = ChainAnswers(context.runtime)
        self.answers = answers
        // Both end with the channel, which ends with this object and the answers that are still waited for.
        Task(executorPreference: context.runtime.reactor) {
            do { try await context.call(RunChain(channel: there)) } catch { answers.fail(error) }
        }
        Task(executorPreference: context.runtime.reactor) {
            do {
                while let answer = try await here.receive() { answers.add(answer.answer, for: answer.number) }
                answers.fail(MartletError(.contextLost, "the chain has ended", route: context.route))
            } catch { answers.fail(error) }
        }
    }

    // What was added still runs; the far side goes when it has come to the end.
    deinit { end.finish() }

    /// Adds a task to the chain; when this returns, it is on its way.
    ///
    /// - Throws: ``MartletError`` `contextLost`, `taskNotRemote`, `valueUnusable`, `limitExceeded`; `CancellationError`.
    public func add<Task: RemoteTask>(_ task: Task) async throws -> ChainedCall<Task> {
        let name = try TaskRegistry.name(of: Task.self)
        let runtime = context.runtime
        var tokens: [ChannelToken] = []
        let request = try ChannelPassage.with(runtime, &tokens) {
            try CallRequest.encode(task, named: name, deadline: 0, headers: CallHeaders())
        }
        let number = answers.expect(tokens)
        do { try await end.send(Request(number: number, call: request)) } catch {
            answers.forget(number)
            answers.abandon(number, after: 0)
            throw answers.failure ?? error
        }
        return ChainedCall(task: task, number: number, answers: answers, context: context)
    }

    /// Adds a task to the chain and waits for its result.
    ///
    /// - Throws: as ``add(_:)`` and ``ChainedCall/value()``.
    public func call<Task: RemoteTask>(_ task: Task) async throws -> Task.Output where Task.Output: Codable {
        try await add(task).value()
    }

    /// Adds a task that returns nothing, and waits until it is done.
    ///
    /// - Throws: as ``add(_:)`` and ``ChainedCall/value()``.
    public func call<Task: RemoteTask>(_ task: Task) async throws where Task.Output == Void {
        try await add(task).value()
    }
}

/// A task that was added to a ``CallChain``.
public final class ChainedCall<Task: RemoteTask>: Sendable {
    private let task: Task
    private let number: Int
    private let answers: ChainAnswers
    private let context: Context

    init(task: Task, number: Int, answers: ChainAnswers, context: Context) {
        self.task = task
        self.number = number
        self.answers = answers
        self.context = context
    }

    deinit { answers.forget(number) }

    /// Waits for the task's result.
    ///
    /// - Throws: what the task threw, as ``Context/call(_:deadline:output:)`` does; ``MartletError`` `chainBroken` if it was
    ///   not run because one before it had failed, `contextLost`; `CancellationError`.
    public func value() async throws -> Task.Output where Task.Output: Codable {
        try CallAnswer.decode(try await answers.answer(number, context.runtime), of: task, over: context)
    }

    /// Waits until the task is done.
    ///
    /// - Throws: as ``value()`` for tasks with a result.
    public func value() async throws where Task.Output == Void {
        let answer = try await answers.answer(number, context.runtime)
        _ = try CallAnswer.open(answer, failure: Task.Failure.self, route: context.route)
    }
}

/// The answers of one chain, for those who hold its calls.
final class ChainAnswers: Sendable {
    private enum Place {
        case expected([ChannelWaiter])
        case here([UInt8])
    }

    private struct State {
        var last = 0
        var places: [Int: Place] = [:]
        /// The channel ends that went with the calls. They may be taken until the call is over, whoever waits for that.
        var tokens: [Int: [ChannelToken]] = [:]
        var failure: (any Error)?
    }

    private let runtime: ContextRuntime
    private let state = Mutex(State())

    init(_ runtime: ContextRuntime) { self.runtime = runtime }

    var failure: (any Error)? { state.withLock { $0.failure } }

    func expect(_ tokens: [ChannelToken]) -> Int {
        state.withLock { state in
            state.last += 1
            if !tokens.isEmpty { state.tokens[state.last] = tokens }
            state.places[state.last] = .expected([])
            return state.last
        }
    }

    /// Nobody asks for that answer any more.
    func forget(_ number: Int) { state.withLock { $0.places[number] = nil } }

    /// The call is over: ends that it has not taken will not be taken, but claims may be under way.
    func abandon(_ number: Int, after grace: UInt64 = ChannelOffers.grace) {
        guard let tokens = state.withLock({ $0.tokens.removeValue(forKey: number) }) else { return }
        runtime.channels.abandon(tokens, after: grace, runtime.reactor)
    }

    func add(_ answer: [UInt8], for number: Int) {
        abandon(number)
        let waiters = state.withLock { state -> [ChannelWaiter] in
            guard case .expected(let waiters) = state.places[number] else { return [] }
            state.places[number] = .here(answer)
            return waiters
        }
        for waiter in waiters { waiter.fire(.ready) }
    }

    /// What has not come will not come.
    func fail(_ error: any Error) {
        let numbers = state.withLock { Array($0.tokens.keys) }
        for number in numbers { abandon(number) }
        let waiters = state.withLock { state -> [ChannelWaiter] in
            if state.failure == nil { state.failure = error }
            return state.places.values.flatMap { place -> [ChannelWaiter] in
                if case .expected(let waiters) = place { waiters } else { [] }
            }
        }
        for waiter in waiters { waiter.fire(.ready) }
    }

    func answer(_ number: Int, _ runtime: ContextRuntime) async throws -> [UInt8] {
        while true {
            let waiter = ChannelWaiter()
            let answer = try state.withLock { state -> [UInt8]? in
                switch state.places[number] {
                case .here(let answer): return answer
                case .expected(let waiters):
                    if let failure = state.failure { throw failure }
                    state.places[number] = .expected(waiters + [waiter])
                    return nil
                case nil: preconditionFailure("a call of a chain is forgotten only when nobody holds it")
                }
            }
            if let answer { return answer }
            if case .cancelled = await waiter.wait(until: nil, runtime.reactor) { throw CancellationError() }
        }
    }
}

extension Context {
    /// Begins a chain of calls; see ``CallChain``.
    public func makeChain() -> CallChain { CallChain(self) }
}

/// The far side of a chain.
struct RunChain: RemoteTask {
    var channel: ChannelEnd<CallChain.Answer, CallChain.Request>

    func run(in context: RemoteContext) async throws {
        var failure: String?
        for try await request in channel {
            let answer: [UInt8]
            if let failure {
                answer = CallAnswer.failure(
                    MartletError(.chainBroken, "not run, because a task before it in the chain failed: \(failure)"))
            } else {
                answer = await run(request.call, in: context)
                failure = CallAnswer.failureText(answer)
            }
            try await channel.send(.init(number: request.number, answer: answer))
        }
    }

    private func run(_ request: [UInt8], in context: RemoteContext) async -> [UInt8] {
        guard let call = CallRequest(request),
            let handler = request.withUnsafeBytes({ TaskRegistry.handler(named: .init(rebasing: $0[call.name])) })
        else { return CallAnswer.failure(MartletError(.taskNotRemote, "this context's program has no such task")) }
        return await handler.run(request[call.arguments], in: context)
    }
}
