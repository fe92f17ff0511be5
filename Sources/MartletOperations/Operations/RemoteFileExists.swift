import Martlet

/// Whether there is anything at a path on the host that is set. A relative path begins at the directory that is set.
///
/// What may not be looked at counts as not there: use ``Setting/sudo(user:group:)``.
///
/// - Throws: as ``remote(_:_:)-(String,_)``, but not for a file that is not there.
public func remoteFileExists(_ path: String, _ settings: Setting...) async throws -> Bool {
    let settings = Settings.local.applying(settings)
    return try await settings.operation(on: settings[HostKey.self]?.name) {
        switch try await OperationTarget(settings) {
        case .mock(let mock): return mock.files[settings.path(path, isLocal: false)] != nil
        case .context(let connection, let name):
            do {
                let path = try await connection.resolving(settings.path(path, isLocal: false), host: name, settings)
                let question = "looking whether \(path) is there"
                return try await connection.ask(question, ["-c", "test -e \"$1\"", "sh", path], host: name, settings)
                    .succeeded
            } catch let error as MartletError where error.code == .contextLost {
                settings[ConnectionsKey.self]?.lost(connection.context)
                throw error
            }
        }
    }
}
