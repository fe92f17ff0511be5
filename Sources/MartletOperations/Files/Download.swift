import Martlet

/// Copies a file of the host that is set to this machine. Folders that lead there are made, and what was there stays until the
/// new file is whole.
///
/// - Parameters:
///   - path: what is relative begins at ``cd(_:isolation:_:)``'s directory.
///   - local: what is relative begins at ``lcd(_:isolation:_:)``'s directory. A folder that is there, or a name with a slash at
///     its end, gets the file under its own name. Default: that directory itself.
///   - settings: as for ``upload(_:to:_:)``.
/// - Returns: the whole path of what was written.
/// - Throws: as ``upload(_:to:_:)``.
@discardableResult
public func download(_ path: String, to local: String = ".", _ settings: Setting...) async throws -> String {
    let transfer = Transfer(Settings.local.applying(settings))
    return try await transfer.run("download \(path) to \(local)", dry: try transfer.localPath(local)) { target in
        let destination = RemotePath.destination(try transfer.localPath(local))
        let source = try await target.path(path, transfer.settings)
        switch target {
        case .context(let connection, _):
            if !transfer.isRecursive { try await refuseFolder(source, connection.context) }
            return try await connection.context.get(
                source, to: destination, options: transfer.options, onProgress: transfer.onProgress
            ).path.shown
        case .mock(let mock):
            let isFolder = destination.hasSuffix("/") || LocalFile.isFolder(destination)
            let name = isFolder ? RemotePath.joining(destination, RemotePath.name(source)) : destination
            try LocalFile.write(try mock.read(source), to: name, transfer.options)
            return name
        }
    }
}

/// The bytes of a file of the host that is set.
///
/// - Parameter limit: more are an error. Default: 64 MiB.
/// - Throws: as ``upload(_:to:_:)``; `MartletError` `limitExceeded`.
public func downloadBytes(_ path: String, limit: Int = 64 << 20, _ settings: Setting...) async throws -> [UInt8] {
    try await downloadBytes(path, limit, Settings.local.applying(settings))
}

/// The text of a file of the host that is set; what is not UTF-8 is replaced.
///
/// - Parameter limit: in bytes; more are an error. Default: 64 MiB.
/// - Throws: as ``upload(_:to:_:)``; `MartletError` `limitExceeded`.
public func downloadText(_ path: String, limit: Int = 64 << 20, _ settings: Setting...) async throws -> String {
    String(decoding: try await downloadBytes(path, limit, Settings.local.applying(settings)), as: UTF8.self)
}

private func downloadBytes(_ path: String, _ limit: Int, _ settings: Settings) async throws -> [UInt8] {
    try await Transfer(settings).run("download \(path)", dry: []) { target in
        let source = try await target.path(path, settings)
        switch target {
        case .context(let connection, _):
            try await refuseFolder(source, connection.context)
            return try await connection.context.read(source, limit: limit)
        case .mock(let mock): return try mock.read(source)
        }
    }
}

private func refuseFolder(_ path: String, _ context: Context) async throws {
    if !path.hasSuffix("/") {
        guard try await context.status(path)?.kind == .directory else { return }
    }
    throw OperationError(
        .misuse, "\(path) is a folder, and only a file was to be downloaded", route: context.route,
        advice: "say .recursive(), or name a file")
}
