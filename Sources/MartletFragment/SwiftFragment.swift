public import Martlet

/// Swift source that runs in a process of its own beside a context, with one end of a channel there as `channel`: here is the
/// other end.
///
///     let fragment = try await web.exec(
///         swift: "try channel.send(channel.receive(as: Int.self)! + 1)", sending: Int.self, receiving: Int.self)
///     try await fragment.send(1)
///     let answer = try await fragment.receive()      // 2
///
/// The channel ends when the source does. An error that ends it is thrown once, as ``FragmentError``, by
/// ``receive(timeout:)`` behind what was sent before; after that the fragment is at its end for ever.
public final class SwiftFragment<Outgoing: Codable & Sendable, Incoming: Codable & Sendable>: Sendable {
    /// The channel itself, for what this type has no words for.
    public let channel: ChannelEnd<Outgoing, Incoming>
    private let run: Task<Void, any Error>

    init(_ channel: ChannelEnd<Outgoing, Incoming>, _ body: @escaping @Sendable () async throws -> Void) {
        self.channel = channel
        // It is as long as the far process is: that ends with its context at the latest.
        run = Task { try await body() }
    }

    /// Sends an item, waiting for room.
    ///
    /// - Throws: as ``ChannelEnd/send(_:)``.
    public nonisolated(nonsending) func send(_ item: Outgoing) async throws { try await channel.send(item) }

    /// Waits for the next item.
    ///
    /// - Parameter timeout: how long to wait; `nil`: until the fragment ends. After a timeout it is as before.
    /// - Returns: `nil` when the fragment has ended, every time.
    /// - Throws: ``FragmentError`` once; else as ``ChannelEnd/receive(timeout:)``.
    public nonisolated(nonsending) func receive(timeout: Duration? = nil) async throws -> Incoming? {
        do { return try await channel.receive(timeout: timeout) } catch { throw await explained(error) }
    }

    /// Waits until the fragment has closed its channel, or has ended. What it sent before may still be unread.
    ///
    /// - Throws: ``FragmentError`` if it failed; ``MartletError`` `deadlineExceeded` after `timeout`, `contextLost`.
    public nonisolated(nonsending) func waitClose(timeout: Duration? = nil) async throws {
        do { try await channel.waitClose(timeout: timeout) } catch { throw await explained(error) }
    }

    /// Waits until the far process has ended, whatever became of the channel.
    ///
    /// - Throws: ``FragmentError`` if it failed, each time; ``MartletError`` `contextLost`, `commandNotStarted`;
    ///   `CancellationError` if it was cancelled.
    public nonisolated(nonsending) func finished() async throws { try await run.value }

    /// Closes this end: what the fragment sends from now on fails there, and its iteration ends.
    public func close() { channel.close() }

    /// Whether neither end of the channel is closed.
    public var isOpen: Bool { channel.isOpen }

    /// Ends the far process, with all that it has started in its process group.
    public func cancel() { run.cancel() }

    /// The channel's end says that there was an error; which one, the end of the process says, which comes with it.
    private nonisolated(nonsending) func explained(_ error: any Error) async -> any Error {
        guard let known = error as? MartletError, known.code == .taskFailed || known.code == .contextLost else {
            return error
        }
        do { try await run.value } catch let better { return better is CancellationError ? error : better }
        return error
    }
}

extension SwiftFragment: AsyncSequence {
    /// What the fragment sends.
    public typealias Element = Incoming

    /// Iterates over what comes, until the fragment ends.
    public struct Iterator: AsyncIteratorProtocol {
        let fragment: SwiftFragment

        /// The next item; see ``SwiftFragment/receive(timeout:)``.
        public func next() async throws -> Incoming? { try await fragment.receive() }

        /// The next item, without leaving the caller's actor.
        public func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> Incoming? {
            try await fragment.receive()
        }
    }

    /// Items go to whichever iterator asks first.
    public func makeAsyncIterator() -> Iterator { Iterator(fragment: self) }
}
