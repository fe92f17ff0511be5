import MartletLink
import MartletReactor
import MartletWire
import Synchronization

/// A way in that leads through a context of another controller's: one of those that the process of a ``GuestContext`` has.
///
/// Its agent becomes a context of ours as well, beside what it is in its own tree: the bytes of our link are a stream over
/// theirs. What we have running there ends with us, and leaves them their context.
package protocol LentConnector: Connector {
    /// Nobody answers if something has to be connected first, and it asks: on the way to whom, we could not tell.
    ///
    /// - Parameter provided: what the process has for its guests.
    /// - Returns: where we come in, and what wants to know when we have left.
    func lender(_ provided: (any Sendable)?) async throws -> Lender
}

extension LentConnector {
    /// There is nothing to start.
    package func launch(_ bootstrap: Bootstrap) throws -> Launch {
        throw MartletError(.misuse, "\(label) is lent, and not started by a command")
    }
}

/// A context where another controller may come in.
package struct Lender: Sendable {
    var context: Context
    var onEnd: @Sendable () -> Void

    package init(_ context: Context, onEnd: @escaping @Sendable () -> Void) {
        (self.context, self.onEnd) = (context, onEnd)
    }

    /// Which builds may answer: those that its controller sends.
    var builds: Set<String> {
        let images = context.runtime.images
        return ((try? images.image())?.builds ?? []).union([images.ownBuild])
    }

    /// A byte stream to the context, whose agent greets with the nonce.
    ///
    /// - Parameter onLost: told why it is over, before it is.
    func open(_ nonce: BootstrapNonce, onLost: @escaping @Sendable (ResetReason) -> Void) throws -> StreamEnds {
        let ends: Pipe
        do { ends = try Pipe.sockets() } catch {
            onEnd()
            throw MartletError(.limitExceeded, "\(error)", route: context.route)
        }
        let stream = SocketStream(context.node) { [onEnd] stream, _ in
            if let reason = stream.resetReason { onLost(reason) }
            onEnd()
        }
        let key = context.node.open(
            to: context.address, .join, owner: stream, payload: Array(nonce.text.utf8), flags: .bulk)
        guard key != nil else {
            ends.close()
            onEnd()
            throw MartletError(.contextLost, "the context is not connected any more", route: context.route)
        }
        stream.attach(ends.writeEnd)
        return StreamEnds(input: ends.readEnd, output: ends.readEnd)
    }
}

extension ContextRuntime {
    /// The owner of a stream that is the link of a context of another controller's.
    func acceptJoin(
        _ key: StreamKey, _ payload: UnsafeRawBufferPointer
    ) -> Result<any AcceptedStreamOwner, StreamRefusal> {
        guard let nonce = BootstrapNonce(String(decoding: payload, as: UTF8.self)) else {
            return .failure(StreamRefusal(.protocolViolation, "a greeting that cannot be read"))
        }
        return .success(
            SocketStream(node, key) { [unowned self] stream in
                do throws(SystemError) {
                    if let link = try admitGuest(nonce) { return stream.attach(link) }
                    stream.end(
                        ResetReason(
                            .limitExceeded, "\(GuestDoor.guestLimit) other controllers use this context already"))
                } catch {
                    stream.end(ResetReason(.limitExceeded, error.description))
                }
            } onEnd: { _, _ in
            })
    }

    /// - Returns: the near end of its link; `nil` if there are too many.
    private func admitGuest(_ nonce: BootstrapNonce) throws(SystemError) -> Int32? {
        var surroundings = host
        surroundings?.detach = { _, answer in
            answer(.failure(MartletError(.refused, "a context that another controller lends cannot be detached")))
        }
        let guest = GuestContext(reactor, images: images, host: surroundings) { [weak self] in self?.left($0) }
        guard add(guest) else { return nil }
        do {
            let ends = try Pipe.sockets()
            guest.begin(EventSource(ends.writeEnd, reactor: reactor), nonce: nonce.text)
            return ends.readEnd
        } catch {
            left(guest)
            throw error
        }
    }
}

extension ContextRuntime {
    /// One try to come in where another controller's context is.
    func join(
        _ connector: any LentConnector, until deadline: UInt64,
        _ attempt: (_ first: FirstStage, _ builds: Set<String>) -> ConnectAttempt
    ) async throws -> Result<ConnectAttempt.Success, MartletError> {
        let provided = configuration.provided
        let lender = try await opening(until: deadline) { try await connector.lender(provided) }
        let nonce = BootstrapNonce.random()
        guard let first = FirstStage(nonce: nonce, policy: .nothing, imageID: "0") else { fatalError() }
        let attempt = attempt(first, lender.builds)
        return await attempt.run(.stream(try lender.open(nonce) { attempt.wayLost($0) }))
    }
}
