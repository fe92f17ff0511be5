import MartletReactor
import MartletWire

/// One end of a channel whose two directions carry the same type.
public typealias Channel<Item: Codable & Sendable> = ChannelEnd<Item, Item>

/// One end of a typed, two-way channel between two pieces of code, wherever in the tree they run.
///
///     let (lines, sender) = web.makeChannel(of: String.self)
///     async let tail: Void = web.call(TailLog(path: "/var/log/syslog", to: sender))
///     for try await line in lines { … }
///
/// An end is a value: pass it as an argument of a task, return it from one, or send it over another channel. With that
/// it is in the other context's hands: here it can no longer be used. Whoever holds an end may use it; nobody else can
/// reach the channel. An end that was passed on twice is reached through the context that passed it on, and ends with it.
///
/// Items arrive once, in order. ``send(_:)`` waits while the other end has not taken what was sent (some hundred
/// kilobytes, more on long fast lines), so a reader that stops makes the writer wait, and nobody's memory grows.
///
/// A channel ends when either end is closed, when the last copy of an end is dropped, or when the context that holds the
/// other end is lost. An error is thrown once, by ``receive(timeout:)``; after that the channel is at its end for ever.
/// Several tasks may read or write one end; each item goes to one of them.
public struct ChannelEnd<Outgoing: Codable & Sendable, Incoming: Codable & Sendable>: Sendable {
    let handle: ChannelHandle

    /// Sends an item, waiting for room.
    ///
    /// - Throws: ``MartletError`` `channelClosed` if either end is closed, `contextLost`, `valueUnusable`,
    ///   `limitExceeded` for an item of more than 64 MiB, `misuse` if this end was passed on; an error with which the other
    ///   end was closed; `CancellationError`.
    public nonisolated(nonsending) func send(_ item: Outgoing) async throws {
        if Outgoing.self == [UInt8].self { return try await send(content: unsafeBitCast(item, to: [UInt8].self)) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(64)
        bytes += [0, 0, 0, 0]
        var tokens: [ChannelToken] = []
        do {
            try ChannelPassage.with(handle.runtime, &tokens) { try CallAnswer.encoder.encode(item, into: &bytes) }
        } catch let error as MartletError {
            throw error
        } catch {
            throw MartletError(.valueUnusable, "an item of a channel does not encode: \(ErrorText.of(error))")
        }
        let count = bytes.count - ChannelBuffer.headCount
        guard count <= MessageAssembly.limit else {
            handle.runtime.channels.abandon(tokens, after: 0, handle.runtime.reactor)
            throw Self.tooLarge
        }
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: UInt32(count).bigEndian, as: UInt32.self) }
        do {
            try await handle.write(bytes, carrying: tokens)
        } catch {
            handle.runtime.channels.abandon(tokens, after: 0, handle.runtime.reactor)
            throw error
        }
    }

    /// Byte strings go as they are.
    private nonisolated(nonsending) func send(content: [UInt8]) async throws {
        let head = ChannelBuffer.contentHead(content.count)
        guard content.count + head.count - ChannelBuffer.headCount <= MessageAssembly.limit else { throw Self.tooLarge }
        try await handle.write(head, content: content)
    }

    private static var tooLarge: MartletError {
        MartletError(.limitExceeded, "an item of a channel is \(ResetReason.valueTooLarge.message)")
    }

    /// Waits for the next item.
    ///
    /// - Parameter timeout: how long to wait; `nil`: until the channel ends. After a timeout the channel is as before.
    /// - Returns: `nil` when the channel has ended, every time.
    /// - Throws: the error with which the channel ended, once: ``MartletError`` `taskFailed` for one that far code gave to
    ///   ``close(throwing:)``, `contextLost`; `deadlineExceeded` after `timeout`, `valueUnusable` if the item is of another
    ///   type, `misuse` if this end was passed on; `CancellationError`.
    public nonisolated(nonsending) func receive(timeout: Duration? = nil) async throws -> Incoming? {
        guard let item = try await handle.read(timeout, asContent: Incoming.self == [UInt8].self) else { return nil }
        return try decode(item)
    }

    func decode(_ item: ChannelHandle.Item) throws -> Incoming {
        let bytes: ArraySlice<UInt8>
        switch item {
        case .content(let content): return unsafeBitCast(content, to: Incoming.self)
        case .encoded(let encoded): bytes = encoded
        }
        do {
            return try bytes.withUnsafeBytes { bytes in
                try ChannelPassage.with(handle.runtime) {
                    try handle.runtime.decoder.decode(Incoming.self, from: bytes)
                }
            }
        } catch let error as MartletError {
            throw error
        } catch {
            throw MartletError(.valueUnusable, "an item of a channel is no \(Incoming.self): \(ErrorText.of(error))")
        }
    }

    /// Says that nothing more will be sent from here. This end still receives.
    public func finish() { handle.pipe.finish(handle.side) }

    /// Closes both directions: what the other end has sent is thrown away, and its `send` fails from now on.
    ///
    /// - Parameter error: what the other end's `receive` shall throw, once, behind what was sent before.
    public func close(throwing error: (any Error)? = nil) {
        handle.pipe.close(
            handle.side, error.map { .failed(CallAnswer.closing($0, at: handle.runtime.route)) } ?? .closed)
    }

    /// Waits until the other end is closed. What it sent before may still be unread.
    ///
    /// - Parameter timeout: default: as long as it takes.
    /// - Throws: the error with which it was closed; ``MartletError`` `deadlineExceeded` after `timeout`;
    ///   `CancellationError`.
    public nonisolated(nonsending) func waitClose(timeout: Duration? = nil) async throws {
        try await handle.waitClose(timeout)
    }

    /// Whether this end can still send: neither end is closed, and this one was not passed on.
    public var isOpen: Bool { handle.pipe.isOpen(handle.side) }
}

extension ChannelEnd: AsyncSequence {
    /// What the other end sends.
    public typealias Element = Incoming

    /// Iterates over what comes, until the channel ends.
    public struct Iterator: AsyncIteratorProtocol {
        let end: ChannelEnd

        /// The next item; see ``ChannelEnd/receive(timeout:)``.
        public func next() async throws -> Incoming? { try await end.receive() }

        /// The next item, without leaving the caller's actor.
        public func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> Incoming? {
            try await end.receive()
        }
    }

    /// Items go to whichever iterator asks first.
    public func makeAsyncIterator() -> Iterator { Iterator(end: self) }
}

extension ChannelEnd: Hashable {
    /// Whether both are the same end of the same channel, also after it went to another context and came back.
    public static func == (a: ChannelEnd, b: ChannelEnd) -> Bool { a.handle.identity == b.handle.identity }

    /// Hashes the end's identity.
    public func hash(into hasher: inout Hasher) { hasher.combine(handle.identity) }
}

extension ChannelEnd: CustomStringConvertible {
    /// The types and whether it is open.
    public var description: String { "ChannelEnd<\(Outgoing.self), \(Incoming.self)>(\(isOpen ? "open" : "closed"))" }
}

extension ContextRuntime {
    func makeChannel<A: Codable & Sendable, B: Codable & Sendable>() -> (ChannelEnd<A, B>, ChannelEnd<B, A>) {
        let pipe = ChannelPipe(self)
        let name = ChannelToken.random()
        return (
            ChannelEnd(handle: ChannelHandle(pipe, .first, .init(channel: name, isSecond: false), self)),
            ChannelEnd(handle: ChannelHandle(pipe, .second, .init(channel: name, isSecond: true), self))
        )
    }
}

extension Controller {
    /// Makes a channel; see ``ChannelEnd``. Both ends are here until one is passed on.
    public func makeChannel<Item>(of: Item.Type = Item.self) -> (Channel<Item>, Channel<Item>) { runtime.makeChannel() }

    /// Makes a channel whose directions carry different types, as the first end sees them.
    public func makeChannel<Sent, Received>(
        sending: Sent.Type, receiving: Received.Type
    ) -> (ChannelEnd<Sent, Received>, ChannelEnd<Received, Sent>) { runtime.makeChannel() }
}

extension Context {
    /// Makes a channel in the calling context; see ``ChannelEnd``. Both ends are here until one is passed on.
    public func makeChannel<Item>(of: Item.Type = Item.self) -> (Channel<Item>, Channel<Item>) { runtime.makeChannel() }

    /// Makes a channel whose directions carry different types, as the first end sees them.
    public func makeChannel<Sent, Received>(
        sending: Sent.Type, receiving: Received.Type
    ) -> (ChannelEnd<Sent, Received>, ChannelEnd<Received, Sent>) { runtime.makeChannel() }
}

extension RemoteContext {
    /// Makes a channel here; see ``ChannelEnd``. Pass one end on: as the task's result, or over another channel.
    public func makeChannel<Item>(of: Item.Type = Item.self) -> (Channel<Item>, Channel<Item>) {
        scope.runtime.makeChannel()
    }

    /// Makes a channel whose directions carry different types, as the first end sees them.
    public func makeChannel<Sent, Received>(
        sending: Sent.Type, receiving: Received.Type
    ) -> (ChannelEnd<Sent, Received>, ChannelEnd<Received, Sent>) { scope.runtime.makeChannel() }
}
