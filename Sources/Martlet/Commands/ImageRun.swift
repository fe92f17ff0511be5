import MartletLink
import MartletReactor
import MartletWire

/// The caller's side of a program that is sent.
final class ImageRun: Sendable {
    private let context: Context
    private let image: ProgramImage
    private let name: String
    private let channel: ChannelHandle
    private let onLine: (@Sendable (OutputLine) async throws -> Void)?
    private let queue: InboundQueue
    /// What the context last said it wants to be sent.
    private let wish = Locked<CommandImageWish?>(nil)
    private let hasWish = CreditGate()

    /// How many lines of standard error are kept, and how much of each, in bytes.
    private static let keptLines = 20
    private static let keptLine = 400

    init(
        _ context: Context, _ image: ProgramImage, _ name: String, _ channel: ChannelHandle,
        _ onLine: (@Sendable (OutputLine) async throws -> Void)?
    ) {
        self.context = context
        self.image = image
        self.name = name
        self.channel = channel
        self.onLine = onLine
        queue = InboundQueue(context.node)
    }

    func result(_ arguments: [String], _ options: CommandOptions) async throws -> ImageResult {
        var request = CommandRequest(name, arguments, options, hasInput: true)
        request.image = CommandImage(
            id: image.id, byteCount: image.byteCount, offersGzip: Compressor.encodings.contains(.gzip))
        let payload = try CBOREncoder().encode(request)
        guard payload.count <= ContextNode.maximumOpenPayload else {
            throw MartletError(
                .limitExceeded,
                "the arguments and environment are \(payload.count) bytes, more than \(ContextNode.maximumOpenPayload)",
                route: context.route)
        }
        guard let key = context.node.open(to: context.address, .command, owner: queue, payload: payload, flags: .bulk)
        else { throw ResetError(reason: .notConnected).error(context.route, name) }
        let feedError = Locked<(any Error)?>(nil)
        do {
            return try await withTaskCancellationHandler {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { [self] in
                        do { try await feed(key) } catch {
                            feedError.withLock { $0 = error }
                            queue.reset(ResetReason(.cancelled, "the caller has nothing to send: \(error)"))
                        }
                    }
                    defer {
                        // It may wait for credit, for a wish or for items.
                        group.cancelAll()
                        context.node.reset(key, ResetReason(.cancelled, "the caller does not read any more"))
                        queue.gate.open()
                        hasWish.open()
                    }
                    return try await receive(options)
                }
            } onCancel: {
                queue.reset(ResetReason(.cancelled, "the caller was cancelled"))
                hasWish.open()
            }
        } catch let error as ResetError {
            if let error = feedError.withLock({ $0 }), !(error is CancellationError) { throw error }
            throw error.error(context.route, name)
        }
    }

    // MARK: To the program

    private func feed(_ key: StreamKey) async throws {
        switch await nextWish(after: nil) {
        case nil: return
        case .nothing: break
        case let wish?:
            let file = try ImageFile.bytes(of: image.path)
            let bytes = wish == .gzip ? try await Compressor.compress(file, .gzip) : file
            guard await send(bytes, key), await sendEmpty(key), await nextWish(after: wish) != nil else { return }
        }
        while let item = try await next() {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(ChannelBuffer.headCount + item.count)
            withUnsafeBytes(of: UInt32(item.count).bigEndian) { bytes += $0 }
            bytes += item
            guard await send(bytes, key) else { return }
        }
        // This end may have finished, and still want what comes.
        guard await send(ChannelBuffer.finishMark, key) else { return }
        do { try await channel.waitClose(nil) } catch is CancellationError { return } catch {}
        context.node.sendEnd(key, flags: .bulk)
    }

    private func send(_ bytes: [UInt8], _ key: StreamKey) async -> Bool {
        await context.node.sendMessage(key, bytes, end: false, gate: queue.gate)
    }

    /// Stands behind the image.
    private func sendEmpty(_ key: StreamKey) async -> Bool {
        while true {
            let generation = queue.gate.generation
            switch ([] as [UInt8]).withUnsafeBytes({ context.node.sendData(key, $0, flags: .bulk) }) {
            case .sent: return true
            case .closed: return false
            case .noCredit: await queue.gate.wait(since: generation)
            }
        }
    }

    /// The next item's CBOR; `nil` at the end, also if that is an error: what it is, is nothing to the program.
    private func next() async throws -> ArraySlice<UInt8>? {
        do {
            switch try await channel.readNext(asContent: false) {
            case .encoded(let bytes): return bytes
            case .content, nil: return nil
            }
        } catch let error as CancellationError { throw error } catch { return nil }
    }

    /// Waits for another wish than `old`; `nil` if none will come.
    private func nextWish(after old: CommandImageWish?) async -> CommandImageWish? {
        while !Task.isCancelled {
            let generation = hasWish.generation
            if let wish = wish.withLock({ $0 }), wish != old { return wish }
            await hasWish.wait(since: generation)
        }
        return nil
    }

    // MARK: From the program

    private func receive(_ options: CommandOptions) async throws -> ImageResult {
        var output = OutputCollector(limit: 0, splitsLines: true)
        var items = ItemAssembly()
        var lastErrors: [String] = []
        func tell(_ lines: [OutputLine]) async throws {
            for line in lines {
                if line.pipe == .error {
                    if lastErrors.count == Self.keptLines { lastErrors.removeFirst() }
                    lastErrors.append(String(decoding: line.bytes.prefix(Self.keptLine), as: UTF8.self))
                }
                if let onLine { try await onLine(line) } else { context.printed(line) }
            }
        }
        while let message = try await queue.next() {
            switch message {
            case .data(let bytes):
                switch bytes.first.flatMap(CommandPipe.init(rawValue:)) {
                case nil: break
                case .image:
                    wish.withLock { $0 = bytes.last.flatMap(CommandImageWish.init(rawValue:)) }
                    hasWish.open()
                case .items: try await pass(items.append(bytes.dropFirst()))
                case let pipe?: try await tell(output.append(pipe, bytes.dropFirst()))
                }
            case .end(let bytes):
                let end: CommandEnd
                do { end = try CBORDecoder().decode(CommandEnd.self, from: bytes) } catch {
                    throw MartletError(
                        .protocolViolation, "a program's end cannot be read: \(error)", route: context.route)
                }
                if var failure = end.failure {
                    failure.route = context.route
                    throw failure
                }
                try await tell(output.finish())
                return ImageResult(
                    termination: end.termination(timeout: options.timeout), duration: .microseconds(end.microseconds),
                    lastErrors: lastErrors,
                    thrown: items.failure.map { ($0.type, $0.message) })
            }
        }
        throw MartletError(.protocolViolation, "a program ended without a status", route: context.route)
    }

    private func pass(_ parts: [ItemAssembly.Part]) async throws {
        for part in parts {
            switch part {
            case .item(let item):
                // Nobody may want it any more.
                do { try await channel.write(item) } catch let error as CancellationError { throw error } catch {}
            case .finish: channel.pipe.finish(channel.side)
            case .close: channel.pipe.close(channel.side, .closed)
            case .tooLarge:
                throw MartletError(
                    .protocolViolation, "\(name) wrote something that is no item to its channel", route: context.route)
            }
        }
    }
}
