import MartletReactor
import MartletWire

/// Files and folders there and back, as the user that the context runs as: through `sudo` by a context of sudo's.
///
/// Whatever is written, there or here, is written beside its name, checked by size and XXH64, made durable and then renamed:
/// whoever looks at a name sees the old content or the new one, never a part. Memory stays bounded, whatever the size; of a
/// tree both sides keep the names. Holes in files stay holes. Paths are those of the machine that they are on; `~/` is the
/// home there, and relative ones begin where the context does.
extension Context {
    /// Copies a file or a folder from this machine to the context's.
    ///
    ///     try await web.put("app.conf", to: "/etc/app/")
    ///     try await web.put("site", to: "/srv")       // makes /srv/site, or adds to it
    ///     try await web.put("site/", to: "/srv/www")  // what is in site; makes /srv/www if it is not there
    ///
    /// If the destination is a folder, or ends in a slash, the file goes into it under its own name. If it is a link, what
    /// that stands for is replaced; one that a stranger has left where others may write, as in `/tmp`, is itself. In a tree links are copied as links; files that are there and not in the source stay.
    ///
    /// - Parameter onProgress: told now and then, and at the end; see also ``TransferProgress/makeStream()``.
    /// - Throws: ``MartletError`` `fileFailed` with the path, the reason and, if it is the far side's, the route; `fileExists`;
    ///   `contextLost`; `CancellationError`. Of a tree what can be copied is copied before it throws; the error lists the rest.
    @discardableResult
    public func put(
        _ local: some PathName, to path: some PathName, options: TransferOptions = TransferOptions(),
        onProgress: (@Sendable (TransferProgress) -> Void)? = nil
    ) async throws -> TransferResult {
        try await transferring(onProgress) { [self] teller in
            try await put(try DeliverySource(local, options), path.pathBytes, teller)
        }
    }

    /// Writes bytes to a file of the context's machine.
    ///
    /// - Throws: as ``put(_:to:options:onProgress:)``.
    @discardableResult
    public func put(
        bytes: [UInt8], to path: some PathName, options: TransferOptions = TransferOptions(),
        onProgress: (@Sendable (TransferProgress) -> Void)? = nil
    ) async throws -> TransferResult {
        let teller = ProgressTeller(onProgress)
        defer { teller.finish() }
        return try await put(try DeliverySource(bytes: bytes, options), path.pathBytes, teller)
    }

    private func put(
        _ source: DeliverySource, _ path: [UInt8], _ teller: ProgressTeller
    ) async throws -> TransferResult {
        let (failures, answer) = try await exchange(FileTask.Request(.receive, path, source.options)) { channel in
            try await source.send(over: channel, mayBeEager: true) { teller.tell($0) }
        }
        let report = try answer.unpacked { reader throws(MartletError) in try FileReport(&reader) }
        return try result(report, failures, isSingle: source.isSingle)
    }

    /// Writes what a sequence gives to a file of the context's machine.
    ///
    /// - Parameter chunks: if it throws, so does this, and the file is as it was.
    /// - Throws: as ``put(_:to:options:onProgress:)``.
    @discardableResult
    public func put<Chunks: AsyncSequence & Sendable>(
        chunks: Chunks, to path: some PathName, options: TransferOptions = TransferOptions(),
        onProgress: (@Sendable (TransferProgress) -> Void)? = nil
    ) async throws -> TransferResult where Chunks.Element == [UInt8] {
        var wire = options.wire
        // Nobody knows what will come.
        if wire.comparison != .never { wire.comparison = .always }
        // There is no later try with the same source.
        wire.flags.remove(.resumes)
        let teller = ProgressTeller(onProgress)
        defer { teller.finish() }
        var iterator = chunks.makeAsyncIterator()
        var rest: ArraySlice<UInt8> = []
        let (_, answer) = try await exchange(FileTask.Request(.receive, path.pathBytes, wire)) { channel in
            try await BytePieces.send(
                try BytePieces.manifest(0, nil), over: channel, isEager: wire.comparison == .always
            ) {
                while rest.isEmpty {
                    guard let chunk = try await iterator.next() else { return nil }
                    rest = chunk[...]
                }
                defer { rest = rest.dropFirst(BytePieces.size) }
                return rest.prefix(BytePieces.size)
            } _: { count in
                teller.tell { $0.byteCount = count }
            }
        }
        let report = try answer.unpacked { reader throws(MartletError) in try FileReport(&reader) }
        return try result(report, [], isSingle: true)
    }

    /// Copies a file or a folder of the context's machine to this one; otherwise as ``put(_:to:options:onProgress:)``.
    ///
    ///     try await web.get("/var/log/app.log", to: "logs/")
    ///
    /// Nothing is written anywhere but under the destination, whatever the far side sends.
    ///
    /// - Throws: as ``put(_:to:options:onProgress:)``. Until a local file is whole, what was there stays.
    @discardableResult
    public func get(
        _ path: some PathName, to local: some PathName, options: TransferOptions = TransferOptions(),
        onProgress: (@Sendable (TransferProgress) -> Void)? = nil
    ) async throws -> TransferResult {
        try await transferring(onProgress) { [self] teller in
            let path = path.pathBytes
            var wire = options.wire
            if TreeSource.isContents(path) { wire.flags.insert(.isExact) }
            let target = try TreeTarget(local.pathBytes, wire, isHere: true)
            let name = path.splitPath.name
            if !TreeSource.isContents(path), name != Array("~".utf8) { target.expectedName = name }
            let (_, answer) = try await exchange(FileTask.Request(.send, path, wire)) { channel in
                try await TreeExchange.receive(target, channel) { target in
                    teller.tell { $0.set(target.work.progress, (target.report.wantedFiles, target.report.wantedCount)) }
                }
            }
            let failures = try answer.unpacked { reader throws(MartletError) in try FileReport.failures(&reader) }
            return try result(target.report, failures, isSingle: target.isSingle)
        }
    }

    /// Reads a file of the context's machine.
    ///
    /// - Parameter limit: more bytes than this are an error. Default: 64 MiB.
    /// - Throws: as ``put(_:to:options:onProgress:)``, and `limitExceeded`.
    public func read(_ path: some PathName, limit: Int = 64 << 20) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        try await read(path) { [route] part in
            guard bytes.count + part.count <= limit else {
                throw MartletError(
                    .limitExceeded, "\(path.pathBytes.shown) has more than \(limit) bytes", route: route,
                    advice: "copy it with get")
            }
            bytes += part
        }
        return bytes
    }

    /// Reads a file of the context's machine part by part. While `onPart` waits, no more comes.
    ///
    /// - Throws: what `onPart` throws; else as ``put(_:to:options:onProgress:)``: then what came before may be no content that
    ///   the file ever had.
    @discardableResult
    public func read(
        _ path: some PathName, onPart: (ArraySlice<UInt8>) async throws -> Void
    ) async throws -> TransferResult {
        let (reader, answer) = try await exchange(FileTask.Request(.send, path.pathBytes, FileOptions())) { channel in
            var reader = ContentReader()
            try await reader.run(channel, onPart)
            return reader
        }
        let place = try answer.unpacked { reader throws(MartletError) in
            _ = try FileReport.failures(&reader)
            return try reader.string()
        }
        return TransferResult(
            path: place, byteCount: reader.checksum.count, fileCount: 1, checksum: reader.checksum.value)
    }

    /// What stands under a name on the context's machine.
    ///
    /// - Parameter followsLinks: whether a link's target is meant, as with most programs. Default: yes.
    /// - Returns: `nil` if there is nothing.
    /// - Throws: ``MartletError`` `fileFailed` if it cannot be known, `contextLost`; `CancellationError`.
    public func status(_ path: some PathName, followsLinks: Bool = true) async throws -> FileStatus? {
        var options = FileOptions()
        if followsLinks { options.flags.insert(.followsLinks) }
        let request = FileTask.Request(.status, path.pathBytes, options)
        let answer = try await perform(FileTask(channel: nil, request: request.packed))
        return answer.isEmpty ? nil : try CBORDecoder().decode(FileStatus.self, from: answer)
    }

    // MARK: The transfer

    private func perform(_ task: FileTask) async throws -> [UInt8] {
        do { return try await call(task) } catch var error as MartletError where error.route.steps.isEmpty {
            error.route = route
            throw error
        }
    }

    /// Runs what blocks on disks where that holds nobody up, and has its errors as users see them.
    private func transferring(
        _ onProgress: (@Sendable (TransferProgress) -> Void)?,
        _ body: @Sendable (ProgressTeller) async throws -> TransferResult
    ) async throws -> TransferResult {
        let teller = ProgressTeller(onProgress)
        defer { teller.finish() }
        do {
            return try await withTaskExecutorPreference(runtime.reactor) { try await body(teller) }
        } catch {
            if Task.isCancelled { throw CancellationError() }
            throw (error as? FileError)?.error(isHere: true) ?? error
        }
    }

    /// Asks the far side, with a channel to it.
    ///
    /// - Returns: what `body` returns, and the far side's answer.
    func exchange<R>(
        _ request: FileTask.Request, _ body: (Channel<[UInt8]>) async throws -> R
    ) async throws -> (R, [UInt8]) {
        let (near, far) = makeChannel(of: [UInt8].self)
        async let answer = perform(FileTask(channel: far, request: request.packed))
        let result: R
        do { result = try await body(near) } catch {
            near.close()
            // Why the far side does not go on is what matters.
            if let known = error as? MartletError,
                known.code == .channelClosed || known.message == TreeExchange.brokenOff.message
            {
                _ = try await answer
            }
            throw error
        }
        let bytes = try await answer
        near.close()
        return (result, bytes)
    }

    func result(
        _ report: FileReport, _ failures: [FileFailure], isSingle: Bool
    ) throws(MartletError) -> TransferResult {
        var all = failures
        let known = Set(failures)
        all += report.failures.filter { !known.contains($0) }
        guard all.isEmpty else { throw MartletError.incomplete(all, report.path, route) }
        return TransferResult(
            path: report.path, byteCount: report.byteCount, fileCount: report.fileCount,
            checksum: isSingle && report.fileCount == 1 ? report.checksum : nil)
    }
}

extension MartletError {
    /// A tree of which some could not be copied.
    static func incomplete(_ failures: [FileFailure], _ path: [UInt8], _ route: Route) -> MartletError {
        let count = failures.count < FileFailure.limit ? "\(failures.count)" : "\(FileFailure.limit) or more"
        var lines = failures.prefix(20).map(\.description)
        if failures.count > 20 { lines.append("and \(failures.count - 20) more") }
        return MartletError(
            .fileFailed, "\(path.shown): \(count) of its files could not be copied, all others were", route: route,
            detail: lines.joined(separator: "\n"))
    }
}

extension [UInt8] {
    /// Reads what was packed.
    func unpacked<R>(_ body: (inout PackedReader) throws(MartletError) -> R) throws(MartletError) -> R {
        var result: Result<R, MartletError>?
        withUnsafeBytes { bytes in
            var reader = PackedReader(bytes)
            do throws(MartletError) { result = .success(try body(&reader)) } catch { result = .failure(error) }
        }
        return try result!.get()
    }
}
