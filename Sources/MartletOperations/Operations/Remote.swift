public import Martlet

/// Runs a line of shell on the host that is set, and shows what it writes as it comes.
///
/// - Parameters:
///   - command: for `/bin/sh -c`, or the shell that the settings name.
///   - settings: for this operation, on top of those that hold.
/// - Returns: what it wrote, byte for byte and as lines, and how it ended.
/// - Throws: ``OperationError`` `commandFailed`, `commandSignalled` or `commandTimedOut`, with the result, unless the settings
///   say ``Setting/warnOnly``; `commandNotStarted`; `noHost`. `MartletError` if the host is not reached or is lost.
///   `CancellationError`: the command is ended with all that it started.
@discardableResult
public func remote(_ command: String, _ settings: Setting...) async throws -> OperationResult {
    try await CommandRun.of(.line(command), Settings.local.applying(settings), isLocal: false)
}

/// Runs a program on the host that is set, without any shell: its arguments are passed exactly.
///
/// - Parameter words: the program, a path or a name that is searched in the host's `PATH`, and its arguments.
/// - Throws: as ``remote(_:_:)-(String,_)``.
@discardableResult
public func remote(_ words: [String], _ settings: Setting...) async throws -> OperationResult {
    try await CommandRun.of(.words(words), Settings.local.applying(settings), isLocal: false)
}

/// Runs a line of shell on the host that is set as another user, by sudo, with directory, variables and all else as ``remote(_:_:)-(String,_)``.
///
/// - Parameters:
///   - user: default: whom ``Setting/sudo(user:group:)`` names, else root.
///   - group: default: the same, else the user's own.
///   - password: answers sudo's question. It is in no argument and no variable. Default: ``Setting/sudoPassword(_:)``.
/// - Throws: as ``remote(_:_:)-(String,_)``; `MartletError` with sudo's own words if it refuses.
@discardableResult
public func remoteSudo(
    _ command: String, user: String? = nil, group: String? = nil, password: Secret? = nil, _ settings: Setting...
) async throws -> OperationResult {
    let settings = Settings.local.applyingSudo(user, group, password).applying(settings)
    return try await CommandRun.of(.line(command), settings, isLocal: false)
}

/// Runs a program on the host that is set as another user, by sudo, without any shell.
///
/// - Throws: as ``remoteSudo(_:user:group:password:_:)-(String,_,_,_,_)``.
@discardableResult
public func remoteSudo(
    _ words: [String], user: String? = nil, group: String? = nil, password: Secret? = nil, _ settings: Setting...
) async throws -> OperationResult {
    let settings = Settings.local.applyingSudo(user, group, password).applying(settings)
    return try await CommandRun.of(.words(words), settings, isLocal: false)
}

/// Runs a line of shell on this machine, with the same settings, results and errors as ``remote(_:_:)-(String,_)`` has them. Its
/// directory is ``lcd(_:isolation:_:)``'s.
///
/// - Throws: as ``remote(_:_:)-(String,_)``.
@discardableResult
public func local(_ command: String, _ settings: Setting...) async throws -> OperationResult {
    try await CommandRun.of(.line(command), Settings.local.applying(settings), isLocal: true)
}

/// Runs a program on this machine, without any shell.
///
/// - Throws: as ``remote(_:_:)-(String,_)``.
@discardableResult
public func local(_ words: [String], _ settings: Setting...) async throws -> OperationResult {
    try await CommandRun.of(.words(words), Settings.local.applying(settings), isLocal: true)
}

extension Settings {
    func applyingSudo(_ user: String?, _ group: String?, _ password: Secret?) -> Settings {
        // Who is named in the settings counts where the call names nobody.
        let outer = self[SudoKey.self]
        return applying(
            [.sudo(user: user ?? outer?.user, group: group ?? outer?.group)]
                + (password.map { [.sudoPassword($0)] } ?? []))
    }
}
