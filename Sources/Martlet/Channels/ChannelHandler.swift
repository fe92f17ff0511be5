import MartletReactor
import Synchronization

/// Whether the handler of a channel's end has seen all that came.
final class ChannelHandler: Sendable {
    private let state = Mutex((isDone: false, waiters: [ChannelWaiter]()))

    /// - Returns: whether it is done already; else `waiter` is fired when it is.
    func add(_ waiter: ChannelWaiter) -> Bool {
        state.withLock { state in
            if !state.isDone { state.waiters.append(waiter) }
            return state.isDone
        }
    }

    func finish() {
        let waiters = state.withLock { state in
            state.isDone = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.fire(.ready) }
    }
}

extension ChannelEnd {
    /// Hands what comes to `handler`, one item after the other, also when nobody holds this end any more.
    ///
    /// If `handler` throws, the channel is closed with that error. From now on ``receive(timeout:)`` throws `misuse`;
    /// ``waitClose(timeout:)`` waits until the handler is done.
    ///
    /// - Parameter onEnd: called once, when the channel has ended, with its error or what `handler` threw.
    /// - Throws: ``MartletError`` `misuse` if there is a handler already.
    public func onReceive(
        _ handler: @escaping @Sendable (Incoming) async throws -> Void,
        onEnd: (@Sendable ((any Error)?) async -> Void)? = nil
    ) throws {
        let mark = ChannelHandler()
        let isFirst = handle.handler.withLock { current in
            if current == nil { current = mark }
            return current === mark
        }
        guard isFirst else { throw ChannelHandle.handled }
        // It ends with the channel, and holds the end until then.
        Task(executorPreference: handle.runtime.reactor) { [self] in
            var failure: (any Error)?
            do {
                while let item = try await handle.readNext(asContent: Incoming.self == [UInt8].self) {
                    do { try await handler(decode(item)) } catch {
                        close(throwing: error)
                        throw error
                    }
                }
            } catch { failure = error }
            await onEnd?(failure)
            mark.finish()
        }
    }
}
