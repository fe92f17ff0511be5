public import Martlet

/// Files there and back. Whatever is written, there or here, is written beside its name, checked by size and SHA-256, made
/// durable and then renamed: whoever looks at the name sees the old content or the new one, never a part. Where the name is a
/// symbolic link, its target is replaced; but not where a stranger has left it in a folder that others may write in. Memory
/// stays bounded, whatever the size.
extension PythonContext {
    /// Copies a file from this machine to the context's.
    ///
    ///     try await py.put("local.conf", to: "/etc/x.conf", mode: 0o644)
    ///
    /// - Parameters:
    ///   - mode: permission bits. `nil`: those of the local file.
    ///   - onProgress: told how many bytes have been sent, each time that some were.
    /// - Throws: ``MartletError`` `fileFailed` with the path, the reason and, if it is the far side's, the route;
    ///   `contextLost`; `CancellationError`. The far file is as it was then.
    public func put(
        _ local: some PathName, to path: some PathName, mode: UInt32? = nil,
        onProgress: (@Sendable (Int) -> Void)? = nil
    ) async throws {
        let source = try here { () throws(FileError) in try FileSource(local.pathBytes) }
        let own = source.mode
        try await send(to: path.pathBytes, mode ?? own, onProgress) { () throws(MartletError) in
            try here { () throws(FileError) in try source.next() }
        }
    }

    /// Writes bytes to a file of the context's machine.
    ///
    /// - Parameter mode: permission bits. `nil`: those of the file that is there, else what the umask there leaves of 0o666.
    /// - Throws: as ``put(_:to:mode:onProgress:)``.
    public func put(
        bytes: [UInt8], to path: some PathName, mode: UInt32? = nil, onProgress: (@Sendable (Int) -> Void)? = nil
    ) async throws {
        var offset = 0
        try await send(to: path.pathBytes, mode, onProgress) { () throws(MartletError) in
            let end = min(bytes.count, offset + 256 * 1024)
            defer { offset = end }
            return Array(bytes[offset..<end])
        }
    }

    /// Copies a file of the context's machine to this one.
    ///
    /// - Parameters:
    ///   - mode: permission bits. `nil`: those of the far file.
    ///   - onProgress: told how many bytes have come, each time that some have.
    /// - Throws: as ``put(_:to:mode:onProgress:)``. The local file is as it was then.
    public func get(
        _ path: some PathName, to local: some PathName, mode: UInt32? = nil,
        onProgress: (@Sendable (Int) -> Void)? = nil
    ) async throws {
        let target = try here { () throws(FileError) in try FileTarget(local.pathBytes) }
        let own = try await receive(path.pathBytes, onProgress) { (part) throws(MartletError) in
            try here { () throws(FileError) in try target.write(part) }
        }
        try here { () throws(FileError) in try target.commit(mode: mode ?? own) }
    }

    /// Reads a file of the context's machine.
    ///
    /// - Parameter limit: more bytes than this are an error. Default: 64 MiB.
    /// - Throws: as ``put(_:to:mode:onProgress:)``, and `limitExceeded`.
    public func read(_ path: some PathName, limit: Int = 64 << 20) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        let name = String(decoding: path.pathBytes, as: UTF8.self)
        _ = try await receive(path.pathBytes, nil) { [route] (part) throws(MartletError) in
            guard bytes.count + part.count <= limit else {
                throw MartletError(
                    .limitExceeded, "\(name) has more than \(limit) bytes", route: route, advice: "copy it with get")
            }
            bytes += part
        }
        return bytes
    }

    /// Does something with a file of this machine.
    private func here<R>(_ body: () throws(FileError) -> R) throws(MartletError) -> R {
        do { return try body() } catch { throw error.error(isHere: true) }
    }

    // MARK: The transfer

    /// On the channel: parts, an empty one, the size and the checksum.
    private func send(
        to path: [UInt8], _ mode: UInt32?, _ onProgress: (@Sendable (Int) -> Void)?,
        _ next: () throws(MartletError) -> [UInt8]
    ) async throws {
        try await operations.load(context)
        let (near, far) = context.makeChannel(of: [UInt8].self)
        async let answer: Void = transfer("!put", "write", path, [far, PythonValue.bytes(path), mode])
        do {
            var checksum = Checksum()
            while true {
                let part = try next()
                guard !part.isEmpty else { break }
                checksum.add(part)
                try await near.send(part)
                onProgress?(Int(checksum.count))
            }
            try await near.send([])
            try await near.send(checksum.trailer())
        } catch {
            near.close()
            // Why the far side does not take any more is what matters.
            if let known = error as? MartletError, known.code == .channelClosed { try await answer }
            throw error
        }
        try await answer
        near.close()
    }

    /// On the channel: the mode, parts, an empty one, the size and the checksum.
    ///
    /// - Returns: the mode.
    private func receive(
        _ path: [UInt8], _ onProgress: (@Sendable (Int) -> Void)?, _ take: ([UInt8]) throws(MartletError) -> Void
    ) async throws -> UInt32 {
        try await operations.load(context)
        let (near, far) = context.makeChannel(of: [UInt8].self)
        async let answer: Void = transfer("!get", "read", path, [far, PythonValue.bytes(path)])
        var mode: UInt32?
        do {
            var checksum = Checksum()
            while let part = try await near.receive() {
                if mode == nil {
                    mode = part.reduce(0) { $0 << 8 | UInt32($1) } & 0o777
                } else if part.isEmpty {
                    guard try await near.receive() == checksum.trailer() else { break }
                    try await answer
                    return mode ?? 0o600
                } else {
                    checksum.add(part)
                    try take(part)
                    onProgress?(Int(checksum.count))
                }
            }
        } catch {
            near.close()
            throw error
        }
        near.close()
        try await answer
        throw fileFailure("read", path, "it did not arrive as it was sent")
    }

    private func transfer(
        _ function: String, _ what: String, _ path: [UInt8], _ arguments: [any Encodable & Sendable]
    ) async throws {
        let failure: [PythonValue]? = try await call(
            function, PythonArguments(positional: arguments, keywords: [:]), nil)
        guard let failure, failure.count > 1, case .str(let reason) = failure[1] else { return }
        throw fileFailure(what, path, reason)
    }

    private func fileFailure(_ what: String, _ path: [UInt8], _ reason: String) -> MartletError {
        MartletError(.fileFailed, "\(what) \(String(decoding: path, as: UTF8.self)): \(reason)", route: route)
    }
}
