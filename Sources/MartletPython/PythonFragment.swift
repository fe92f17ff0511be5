public import Martlet
import Synchronization

/// Python source that runs in a context, with one end of a channel there as `channel`: here is the other end.
///
///     let fragment = py.exec("channel.send(channel.receive() + 1)")
///     try await fragment.send(1)
///     let answer = try await fragment.receive()      // 2
///
/// The channel ends when the source does. An exception that ends it is thrown once, as ``PythonError`` with Python's own
/// traceback, by ``receive(timeout:)`` behind what was sent before; after that the fragment is at its end for ever.
public final class PythonFragment<Outgoing: Codable & Sendable, Incoming: Codable & Sendable>: Sendable {
    /// The channel itself, for what this type has no words for. What it throws has no traceback.
    public let channel: ChannelEnd<Outgoing, Incoming>
    private let run: Task<Void, any Error>
    private let untold: Untold
    /// When its time is up.
    private let end: ContinuousClock.Instant?

    init(
        _ channel: ChannelEnd<Outgoing, Incoming>,
        deadline: Duration?,
        _ body: @escaping @Sendable () async throws -> Void
    ) {
        self.channel = channel
        end = deadline.map { .now + $0 }
        let untold = Untold()
        self.untold = untold
        // It is as long as the far code is: that ends with its context at the latest.
        run = Task {
            do { try await body() } catch {
                // Code that cannot be interrupted keeps its end of the channel; nobody is to wait for that.
                if !(error is PythonError) {
                    untold.error.withLock { $0 = error }
                    channel.close()
                }
                throw error
            }
        }
    }

    /// Why the fragment is over, where its channel does not say so.
    private final class Untold: Sendable {
        let error = Mutex<(any Error)?>(nil)
    }

    /// Sends an item, waiting for room.
    ///
    /// - Throws: as ``ChannelEnd/send(_:)``.
    public nonisolated(nonsending) func send(_ item: Outgoing) async throws { try await channel.send(item) }

    /// Waits for the next item.
    ///
    /// - Parameter timeout: how long to wait; `nil`: until the fragment ends. After a timeout it is as before.
    /// - Returns: `nil` when the fragment has ended, every time.
    /// - Throws: ``PythonError`` once, or ``MartletError`` `deadlineExceeded` if the fragment had one; else as ``ChannelEnd/receive(timeout:)``.
    public nonisolated(nonsending) func receive(timeout: Duration? = nil) async throws -> Incoming? {
        let item: Incoming?
        do { item = try await channel.receive(timeout: timeout) } catch { throw await explained(error) }
        // The far side, interrupted, may say that it has ended before we have noticed why.
        if item == nil, let end, ContinuousClock.now >= end { _ = try? await run.value }
        if item == nil, let error = untold.error.withLock({ $0.take() }) { throw error }
        return item
    }

    /// Waits until the fragment's channel is closed, as it is when the fragment ends. What it sent before may still be
    /// unread.
    ///
    /// - Throws: ``PythonError`` if an exception ended it; ``MartletError`` `deadlineExceeded` after `timeout`, `contextLost`.
    public nonisolated(nonsending) func waitClose(timeout: Duration? = nil) async throws {
        do { try await channel.waitClose(timeout: timeout) } catch { throw await explained(error) }
    }

    /// Waits until the source has run to its end, whatever became of its channel.
    ///
    /// - Throws: ``PythonError`` if an exception ended it, each time; ``MartletError`` `contextLost`; `CancellationError` if it
    ///   was cancelled.
    public nonisolated(nonsending) func finished() async throws { try await run.value }

    /// Closes this end: what the fragment sends from now on fails there, and its iteration ends.
    public func close() { channel.close() }

    /// Whether neither end of the channel is closed.
    public var isOpen: Bool { channel.isOpen }

    /// Interrupts the source by a `KeyboardInterrupt`, where Python can be interrupted.
    public func cancel() { run.cancel() }

    /// The channel's end says that there was an error; how it came to it is the answer to the call, which comes with it.
    private nonisolated(nonsending) func explained(_ error: any Error) async -> any Error {
        guard let known = error as? MartletError,
            known.code == .taskFailed && known.remoteType != "str" || known.code == .contextLost
        else { return error }
        do { try await run.value } catch let better { return better is CancellationError ? error : better }
        return error
    }
}

extension PythonFragment: AsyncSequence {
    /// What the fragment sends.
    public typealias Element = Incoming

    /// Iterates over what comes, until the fragment ends.
    public struct Iterator: AsyncIteratorProtocol {
        let fragment: PythonFragment

        /// The next item; see ``PythonFragment/receive(timeout:)``.
        public func next() async throws -> Incoming? { try await fragment.receive() }

        /// The next item, without leaving the caller's actor.
        public func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> Incoming? {
            try await fragment.receive()
        }
    }

    /// Items go to whichever iterator asks first.
    public func makeAsyncIterator() -> Iterator { Iterator(fragment: self) }
}

extension PythonContext {
    /// Runs source in a namespace of its own, where `channel` is the other end of the fragment's, and `__name__` is
    /// `__channelexec__`. It has begun when this returns, or soon after.
    ///
    /// There `channel` has `send(item)`, `receive(timeout=None)` (`EOFError` at the end, every time; `channel.TimeoutError`;
    /// `channel.RemoteError`), iteration, `close(error=None)`, `isclosed()`, `waitclose(timeout=None)`,
    /// `setcallback(callback, endmarker)` and `makefile(mode="w", proxyclose=False)`.
    ///
    /// - Parameters:
    ///   - source: blanks and tabs that all of its lines begin with are taken away.
    ///   - file: what tracebacks call the source.
    ///   - function: one of the source's to be called with the channel and `kw` when the source has run.
    ///   - sending: what goes to the fragment; byte strings are fastest.
    ///   - receiving: what comes from it.
    ///   - deadline: how long it may run; then it is interrupted, where Python can be. `nil`: as long as the context lives.
    public func exec<Outgoing: Codable & Sendable, Incoming: Codable & Sendable>(
        _ source: String, file: String = "<remote exec>", function: String? = nil,
        kw: [String: any Encodable & Sendable] = [:], sending: Outgoing.Type = PythonValue.self,
        receiving: Incoming.Type = PythonValue.self, deadline: Duration? = nil
    ) -> PythonFragment<Outgoing, Incoming> {
        let (near, far) = context.makeChannel(sending: Outgoing.self, receiving: Incoming.self)
        return PythonFragment(near, deadline: deadline) { [self] in
            let arguments = PythonArguments(positional: [source.dedented, file, far, function], keywords: kw)
            let _: NoResult = try await call("!exec", arguments, deadline)
        }
    }

    /// Runs the source of a file of this machine, which is read now. Tracebacks call it by its path.
    ///
    /// - Throws: ``MartletError`` `misuse` if it cannot be read; as ``exec(_:file:function:kw:sending:receiving:deadline:)``
    ///   otherwise.
    public func exec<Outgoing: Codable & Sendable, Incoming: Codable & Sendable>(
        contentsOf path: String, function: String? = nil, kw: [String: any Encodable & Sendable] = [:],
        sending: Outgoing.Type = PythonValue.self, receiving: Incoming.Type = PythonValue.self,
        deadline: Duration? = nil
    ) throws -> PythonFragment<Outgoing, Incoming> {
        let source: [UInt8]
        do throws(SourceFile.Failure) { source = try SourceFile.read(path).bytes } catch {
            switch error {
            case .absent: throw MartletError(.misuse, "there is no file \(path) to run", route: route)
            case .unusable(let why): throw MartletError(.misuse, why, route: route)
            }
        }
        guard let text = String(validating: source, as: UTF8.self) else {
            throw MartletError(.misuse, "\(path) is not UTF-8", route: route)
        }
        return exec(
            text, file: path, function: function, kw: kw, sending: sending, receiving: receiving, deadline: deadline)
    }
}
