import CMartlet
import Martlet
import MartletReactor
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

/// One TLS connection: a handshake, a first word each way, and then bytes to and from a local socket. What waits in it is
/// bounded by NIO's marks and the kernel's buffers: each direction reads on when what it has read is written.
struct TLSConnection: Sendable {
    enum Failure: Error {
        case handshake(String)
        /// With what the other end had said.
        case closed(String)
    }

    typealias Stream = NIOAsyncChannel<ByteBuffer, ByteBuffer>
    typealias Bytes = NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    typealias Writer = NIOAsyncChannelOutboundWriter<ByteBuffer>

    private let stream: Stream
    private let handshaken: EventLoopFuture<Void>
    /// Read at the beginning: a connection that has ended does not know it any more.
    let remoteAddress: String

    /// On the channel's event loop, before anything is read.
    init(_ channel: any NIOCore.Channel, _ tls: some ChannelHandler) throws {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        handshaken = promise.futureResult
        remoteAddress = channel.remoteAddress?.ipAddress ?? ""
        try channel.pipeline.syncOperations.addHandlers([tls, HandshakeHandler(promise)])
        stream = try Stream(wrappingChannelSynchronously: channel)
    }

    func close() { stream.channel.close(promise: nil) }

    /// Shakes hands and runs `body`; the connection is closed behind it, and when the task is cancelled.
    func run<R: Sendable>(_ body: (inout Bytes, Writer) async throws -> R) async throws -> R {
        try await withTaskCancellationHandler {
            try await stream.executeThenClose { inbound, outbound in
                do { try await handshaken.get() } catch { throw Failure.handshake(Self.words(error)) }
                var bytes = inbound.makeAsyncIterator()
                return try await body(&bytes, outbound)
            }
        } onCancel: {
            close()
        }
    }

    private static func words(_ error: any Error) -> String {
        let text = "\(error)"
        if case ChannelError.eof? = error as? ChannelError { return "the other end hung up" }
        if text.contains("CERTIFICATE") { return "the certificate was not accepted (\(text.prefix(200)))" }
        if text.contains("BAD_RECORD_MAC") || text.contains("DECRYPT") || text.contains("uncleanShutdown")
            || text.contains("UNKNOWN_PSK")
        {
            return "the secrets differ"
        }
        return String(text.prefix(300))
    }

    // MARK: The near end

    /// Says `first`, waits for `welcome`, and then gives a socket that is the far end's.
    func socket(after first: [UInt8], expecting welcome: [UInt8]) async throws -> StreamEnds {
        let answer = Answer()
        let task = Task {
            do {
                try await run { bytes, writer in
                    let rest: ByteBuffer
                    do {
                        try await writer.write(ByteBuffer(bytes: first))
                        rest = try await Self.expect(welcome, &bytes)
                    } catch let failure as Failure {
                        throw failure
                    } catch {
                        // In TLS 1.3 a client hears only now that its certificate was not accepted; by what it reads or writes.
                        throw Failure.handshake(Self.words(error))
                    }
                    let (near, far) = try Self.pair()
                    answer.resume(.success(StreamEnds(input: far, output: far)))
                    try await pump(rest, &bytes, writer, local: near)
                }
                answer.resume(.failure(Failure.closed("")))
            } catch {
                answer.resume(.failure(error))
            }
        }
        return try await withTaskCancellationHandler {
            try await answer.value()
        } onCancel: {
            task.cancel()
        }
    }

    private static func expect(_ welcome: [UInt8], _ bytes: inout Bytes) async throws -> ByteBuffer {
        var said = ByteBuffer()
        while said.readableBytes < welcome.count {
            guard var next = try await bytes.next() else {
                throw Failure.closed(String(decoding: said.readableBytesView.prefix(400), as: UTF8.self))
            }
            said.writeBuffer(&next)
        }
        guard said.readBytes(length: welcome.count) == welcome else {
            throw Failure.closed(String(decoding: said.readableBytesView.prefix(400), as: UTF8.self))
        }
        return said
    }

    static func pair() throws -> (Int32, Int32) {
        let ends = try Pipe.sockets()
        return (ends.readEnd, ends.writeEnd)
    }

    /// Carries bytes both ways until either end closes.
    func pump(_ rest: ByteBuffer, _ bytes: inout Bytes, _ writer: Writer, local descriptor: Int32) async throws {
        let local: Stream
        do {
            local = try await ClientBootstrap(group: SocketThreads.group).withConnectedSocket(descriptor) { channel in
                channel.eventLoop.makeCompletedFuture { try Stream(wrappingChannelSynchronously: channel) }
            }
        } catch {
            closeDescriptor(descriptor)
            throw error
        }
        // What ends one direction ends the other: its reader waits no longer.
        let upwards = Task { [stream] in
            try? await local.executeThenClose { inbound, outbound in
                for try await part in inbound { try await writer.write(part) }
            }
            stream.channel.close(promise: nil)
        }
        defer { local.channel.close(promise: nil) }
        if rest.readableBytes > 0 { try await local.channel.writeAndFlush(rest) }
        while let part = try await bytes.next() { try await local.channel.writeAndFlush(part) }
        local.channel.close(promise: nil)
        await upwards.value
    }

    /// Hands one result over, once.
    private final class Answer: Sendable {
        private let state = Mutex<(Result<StreamEnds, any Error>?, CheckedContinuation<StreamEnds, any Error>?)>(
            (nil, nil))

        func resume(_ result: Result<StreamEnds, any Error>) {
            let waiter = state.withLock { state in
                if state.0 == nil { state.0 = result }
                defer { state.1 = nil }
                return state.1
            }
            waiter?.resume(with: result)
        }

        func value() async throws -> StreamEnds {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state in
                    if state.0 == nil { state.1 = continuation }
                    return state.0
                }
                if let result { continuation.resume(with: result) }
            }
        }
    }
}

/// Tells when the handshake is over.
private final class HandshakeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private var promise: EventLoopPromise<Void>?

    init(_ promise: EventLoopPromise<Void>) { self.promise = promise }

    private func end(_ error: (any Error)?) {
        if let error { promise?.fail(error) } else { promise?.succeed() }
        promise = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { end(nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(error)
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(ChannelError.eof)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end(ChannelError.eof) }
}
