import MartletLink
import MartletReactor
import MartletWire

/// What a context is doing; see ``Context/status(deadline:)``.
public struct ContextStatus: Codable, Sendable, Hashable {
    /// Tasks and commands that run.
    public var running: Int
    /// Channel ends there that are joined to ends in other contexts.
    public var openChannels: Int
    /// Streams of every kind that end there, this question's own among them.
    public var openStreams: Int
    /// Contexts that it has started and that live.
    public var children: Int
    /// How long it has been a context.
    public var uptime: Duration
}

/// Answers on the I/O side, so that the answer comes while every thread is busy.
final class IncomingStatus: AcceptedStreamOwner {
    private let key: StreamKey
    private let runtime: ContextRuntime

    init(_ key: StreamKey, runtime: ContextRuntime) {
        self.key = key
        self.runtime = runtime
    }

    func begin() { runtime.node.sendEnd(key, (try? CBOREncoder().encode(runtime.status)) ?? []) }
    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {}
    func wasReset(_ reason: ResetReason) {}
}

extension Context {
    /// Asks what the context is doing. Its I/O side answers, also while all its threads are busy.
    ///
    /// - Throws: ``MartletError`` `contextLost`, or `deadlineExceeded` after `deadline` (default: 15 s).
    public func status(deadline: Duration = .seconds(15)) async throws -> ContextStatus {
        let answer = try await ask(.status, [], "status", deadline)
        do {
            var status = try CBORDecoder().decode(ContextStatus.self, from: answer)
            status.uptime = status.uptime.clamped
            return status
        } catch {
            throw MartletError(.protocolViolation, "the context's status cannot be read: \(error)", route: route)
        }
    }

    /// Opens a stream that is answered by one message.
    func ask(_ kind: StreamKind, _ payload: [UInt8], _ what: String, _ deadline: Duration) async throws -> [UInt8] {
        let pending = PendingCall(node)
        let outcome = await withTaskCancellationHandler {
            guard node.open(to: address, kind, owner: pending, payload: payload, flags: .last) != nil else {
                return PendingCall.Outcome.reset(.notConnected)
            }
            pending.setDeadline(Reactor.now + deadline.clampedNanoseconds)
            return await pending.outcome()
        } onCancel: {
            pending.abandon(.cancelled)
        }
        switch outcome {
        case .answer(let bytes): return bytes
        case .cancelled: throw CancellationError()
        case .deadlineExceeded:
            throw MartletError(.deadlineExceeded, "no answer to \(what) within \(deadline)", route: route)
        case .reset(let reason): throw ResetError(reason: reason).error(route, what)
        }
    }
}
