import MartletReactor
import MartletWire
import Synchronization

/// What all copies of one ``ChannelEnd`` share. When the last copy is gone, the end is closed.
final class ChannelHandle: Sendable {
    /// The same for an end wherever it goes.
    struct Identity: Hashable, Sendable {
        var channel: ChannelToken
        var isSecond: Bool
    }

    let pipe: ChannelPipe
    let side: ChannelPipe.Side
    let identity: Identity
    let runtime: ContextRuntime
    /// Set once, when a handler takes what comes.
    let handler = Mutex<ChannelHandler?>(nil)

    init(_ pipe: ChannelPipe, _ side: ChannelPipe.Side, _ identity: Identity, _ runtime: ContextRuntime) {
        self.pipe = pipe
        self.side = side
        self.identity = identity
        self.runtime = runtime
    }

    deinit { pipe.close(side, .closed) }

    // MARK: Waiting

    nonisolated(nonsending) func write(
        _ item: [UInt8], content: [UInt8]? = nil, carrying tokens: [ChannelToken] = []
    ) async throws {
        var written = pipe.write(item, content: content, from: side, carrying: tokens, waiter: nil)
        while case .full = written {
            let waiter = ChannelWaiter()
            written = pipe.write(item, content: content, from: side, carrying: tokens, waiter: waiter)
            guard case .full = written else { break }
            if case .cancelled = await waiter.wait(until: nil, runtime.reactor) {
                pipe.forget(waiter, at: side)
                throw CancellationError()
            }
            written = pipe.write(item, content: content, from: side, carrying: tokens, waiter: nil)
        }
        switch written {
        case .done: break
        case .full: preconditionFailure("unreachable")
        case .passedOn: throw Self.passedOn
        case .closed: throw MartletError(.channelClosed, "this end of the channel is closed")
        case .refused(let reason):
            guard !reason.isEmpty else {
                throw MartletError(.channelClosed, "the other end of the channel is closed")
            }
            _ = try CallAnswer.open(reason, failure: (any Error).self, route: Route())
        }
    }

    enum Item {
        /// CBOR.
        case encoded(ArraySlice<UInt8>)
        /// What a byte string holds.
        case content([UInt8])
    }

    nonisolated(nonsending) func read(_ timeout: Duration?, asContent: Bool) async throws -> Item? {
        guard handler.withLock({ $0 == nil }) else { throw Self.handled }
        return try await readNext(timeout, asContent: asContent)
    }

    nonisolated(nonsending) func readNext(_ timeout: Duration? = nil, asContent: Bool) async throws -> Item? {
        var taken = pipe.take(at: side, asContent: asContent, waiter: nil)
        if case .empty = taken {
            let deadline = timeout.map { Reactor.now + $0.clampedNanoseconds }
            repeat {
                let waiter = ChannelWaiter()
                taken = pipe.take(at: side, asContent: asContent, waiter: waiter)
                guard case .empty = taken else { break }
                let wake = await waiter.wait(until: deadline, runtime.reactor)
                if case .ready = wake {} else { pipe.forget(waiter, at: side) }
                if case .cancelled = wake { throw CancellationError() }
                taken = pipe.take(at: side, asContent: asContent, waiter: nil)
                if case .timedOut = wake, case .empty = taken {
                    throw MartletError(.deadlineExceeded, "nothing came over the channel within \(timeout!)")
                }
            } while taken.isEmpty
        }
        switch taken {
        case .item(let bytes): return .encoded(bytes)
        case .content(let bytes): return .content(bytes)
        case .end, .empty: return nil
        case .passedOn: throw Self.passedOn
        case .failed(let answer):
            _ = try CallAnswer.open(answer, failure: (any Error).self, route: Route())
            return nil
        }
    }

    nonisolated(nonsending) func waitClose(_ timeout: Duration?) async throws {
        let deadline = timeout.map { Reactor.now + $0.clampedNanoseconds }
        while true {
            if let handler = handler.withLock({ $0 }) {
                // What came before the end has been handled when the wait is over.
                let waiter = ChannelWaiter()
                if !handler.add(waiter) { try check(await waiter.wait(until: deadline, runtime.reactor), timeout) }
            }
            let waiter = ChannelWaiter()
            if let ending = pipe.ending(seenBy: side, waiter: waiter) {
                if case .failed(let answer) = ending {
                    _ = try CallAnswer.open(answer, failure: (any Error).self, route: Route())
                }
                return
            }
            let wake = await waiter.wait(until: deadline, runtime.reactor)
            pipe.forget(waiter, at: side)
            try check(wake, timeout)
        }
    }

    private func check(_ wake: ChannelWaiter.Wake, _ timeout: Duration?) throws {
        switch wake {
        case .ready: break
        case .cancelled: throw CancellationError()
        case .timedOut:
            throw MartletError(.deadlineExceeded, "the other end of the channel was not closed within \(timeout!)")
        }
    }

    static let handled = MartletError(.misuse, "what comes over this end of the channel goes to its handler")

    static let passedOn = MartletError(
        .misuse, "this end of the channel was passed on to another context",
        advice: "use the other end here, or make a second channel")
}

extension ChannelPipe.Taken {
    fileprivate var isEmpty: Bool { if case .empty = self { true } else { false } }
}

extension CallAnswer {
    /// What the other end of a channel gets for an error.
    ///
    /// - Parameter route: of the context that closes; the other end cannot know it.
    static func closing(_ error: any Error, at route: Route) -> [UInt8] {
        var known = error as? MartletError
        if known?.route.steps.isEmpty == true { known?.route = route }
        let bytes = known.map { failure($0) } ?? thrown(error, at: route)
        guard bytes.count >= FrameHeader.maximumPayload else { return bytes }
        // It has to fit into one frame. Its text alone is never that long.
        return thrownText(error)
    }
}
