import Martlet

/// Copies a file of this machine to the host that is set. Folders that lead there are made; whoever looks sees the old file or
/// the new one, never a part. Its mode goes along.
///
/// - Parameters:
///   - local: what is relative begins at ``lcd(_:isolation:_:)``'s directory.
///   - path: what is relative begins at ``cd(_:isolation:_:)``'s directory. A folder that is there, or a name with a slash at
///     its end, gets the file under its own name.
///   - settings: ``Setting/sudo(user:group:)``, ``Setting/overwrite(_:)``, ``Setting/recursive(_:)``, ``Setting/mode(_:)``.
/// - Returns: the whole path of what was written.
/// - Throws: ``OperationError`` `transferFailed`, `fileExists`, `misuse` for a folder without ``Setting/recursive(_:)``; as
///   ``remote(_:_:)-(String,_)``.
@discardableResult
public func upload(_ local: String, to path: String, _ settings: Setting...) async throws -> String {
    let transfer = Transfer(Settings.local.applying(settings))
    return try await transfer.run("upload \(local) to \(path)", dry: path) { target in
        let source = try transfer.localPath(local)
        if !transfer.isRecursive, LocalFile.isFolder(source) {
            throw OperationError(
                .misuse, "\(source) is a folder, and only a file was to be uploaded", advice: "say .recursive()")
        }
        let destination = RemotePath.destination(try await target.path(path, transfer.settings))
        switch target {
        case .context(let connection, _):
            return try await connection.context.put(
                source, to: destination, options: transfer.options, onProgress: transfer.onProgress
            ).path.shown
        case .mock(let mock):
            let name = destination.hasSuffix("/") ? destination + RemotePath.name(source) : destination
            return try mock.write(try LocalFile.read(source), to: name, transfer.options)
        }
    }
}

/// Writes bytes to a file of the host that is set; otherwise as ``upload(_:to:_:)``.
///
/// - Throws: as ``upload(_:to:_:)``.
@discardableResult
public func upload(bytes: [UInt8], to path: String, _ settings: Setting...) async throws -> String {
    try await upload(bytes, path, Settings.local.applying(settings))
}

/// Writes text, in UTF-8, to a file of the host that is set; otherwise as ``upload(_:to:_:)``.
///
/// - Throws: as ``upload(_:to:_:)``.
@discardableResult
public func upload(text: String, to path: String, _ settings: Setting...) async throws -> String {
    try await upload(Array(text.utf8), path, Settings.local.applying(settings))
}

private func upload(_ bytes: [UInt8], _ path: String, _ settings: Settings) async throws -> String {
    let transfer = Transfer(settings)
    return try await transfer.run("upload \(bytes.count) bytes to \(path)", dry: path) { target in
        let destination = RemotePath.destination(try await target.path(path, settings))
        switch target {
        case .context(let connection, _):
            return try await connection.context.put(
                bytes: bytes, to: destination, options: transfer.options, onProgress: transfer.onProgress
            ).path.shown
        case .mock(let mock): return try mock.write(bytes, to: destination, transfer.options)
        }
    }
}
