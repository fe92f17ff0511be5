// The settings that scopes are most often for, as functions.

/// Runs `body` with another directory on the host, for commands, also by sudo, and for files. What is relative begins at the
/// directory of the scope outside, else where the host's context is: for ssh the user's home. `/…`, `~/…` and `~joe/…`
/// begin anew.
///
/// - Throws: what `body` throws. That the directory is not there is the error of the first operation that needs it.
@discardableResult
public func cd<R>(
    _ path: String, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
) async rethrows -> R {
    try await withSettings([.directory(path)], isolation: isolation, body)
}

/// Runs `body` with another directory on this machine, for local commands and files. The process stays where it is.
///
/// - Throws: what `body` throws.
@discardableResult
public func lcd<R>(
    _ path: String, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
) async rethrows -> R {
    try await withSettings([.localDirectory(path)], isolation: isolation, body)
}

/// Runs `body` with variables for commands; `nil` removes one.
///
/// - Throws: what `body` throws.
@discardableResult
public func env<R>(
    _ variables: [String: String?], isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
) async rethrows -> R {
    try await withSettings([.environment(variables)], isolation: isolation, body)
}

/// Runs `body` with a command that has to succeed before each command in it.
///
/// - Throws: what `body` throws.
@discardableResult
public func prefix<R>(
    _ command: String, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
) async rethrows -> R {
    try await withSettings([.prefix(command)], isolation: isolation, body)
}

/// Runs `body` and shows less of what its operations do.
///
/// - Parameter parts: default: all is hidden.
/// - Throws: what `body` throws.
@discardableResult
public func hide<R>(
    _ parts: OutputParts = .all, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
) async rethrows -> R {
    try await withSettings([.hide(parts)], isolation: isolation, body)
}

/// Runs `body`, in which nobody is asked: see ``Setting/abortOnPrompts(_:)``.
///
/// - Throws: what `body` throws.
@discardableResult
public func abortOnPrompts<R>(
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
) async rethrows -> R {
    try await withSettings([.abortOnPrompts()], isolation: isolation, body)
}
