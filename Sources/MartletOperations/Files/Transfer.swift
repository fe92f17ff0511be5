public import Martlet

/// One copy of files, as the settings have it.
struct Transfer {
    let settings: Settings
    private let writer: LineWriter
    private let host: String?

    init(_ settings: Settings) {
        self.settings = settings
        host = settings[HostKey.self]?.name
        writer = LineWriter(settings, host: host)
    }

    var isDry: Bool { settings[DryRunKey.self] ?? false }
    var isRecursive: Bool { settings[RecursiveKey.self] ?? false }
    var onProgress: (@Sendable (TransferProgress) -> Void)? { settings[ProgressKey.self] }

    /// As the settings say, with what leads to the destination made.
    var options: TransferOptions {
        var options = settings[TransferOptionsKey.self] ?? TransferOptions()
        options.createsParents = true
        if let overwrite = settings[OverwriteKey.self] { options.overwrite = overwrite }
        if let mode = settings[ModeKey.self] { options.mode = mode }
        return options
    }

    /// A path on this machine.
    ///
    /// - Throws: ``OperationError`` `transferFailed` if it begins in the home of an account that there is not.
    func localPath(_ path: String) throws -> String {
        let path = settings.path(path, isLocal: true)
        guard let (name, rest) = RemotePath.home(path), name != "~" else { return path.expandingHome }
        guard let home = PasswordFile.home(of: name.dropFirst()) else {
            throw OperationError(
                .transferFailed, "there is no home directory \(name) on this machine", host: OperationHost.local.name,
                advice: "write the directory's whole path")
        }
        return RemotePath.joining(home: home, rest: rest)
    }

    /// Shows what is done, does it, and has its errors as operations have them.
    ///
    /// - Parameters:
    ///   - title: `upload a to b`.
    ///   - dry: what comes of it if it is only shown.
    /// - Throws: ``OperationError`` `transferFailed`, `fileExists`, or what the settings make of it; `MartletError` if the host is
    ///   not reached or is lost; `CancellationError`.
    func run<R>(
        _ title: String, dry: @autoclosure () throws -> R, _ body: (OperationTarget) async throws -> R
    ) async throws -> R {
        try await settings.operation(on: host) {
            writer.running(title)
            if isDry { return try dry() }
            let target = try await OperationTarget(settings)
            do { return try await body(target) } catch {
                throw failure(error, title, target)
            }
        }
    }

    private func failure(_ error: any Error, _ title: String, _ target: OperationTarget) -> any Error {
        switch error {
        case let error as MartletError where error.code == .contextLost:
            if case .context(let connection, _) = target { settings[ConnectionsKey.self]?.lost(connection.context) }
            return error
        case let error as MartletError where error.code == .fileFailed || error.code == .fileExists:
            let isThere = error.code == .fileExists
            return OperationError(
                isThere ? .fileExists : .transferFailed, "\(title): \(error.message)", host: host,
                route: error.route.steps.isEmpty ? nil : error.route, detail: error.detail,
                advice: error.advice ?? (isThere ? "say .overwrite(.always)" : nil), underlying: error)
        default: return error
        }
    }
}

extension OperationTarget {
    /// A path on the host.
    func path(_ path: String, _ settings: Settings) async throws -> String {
        let whole = settings.path(path, isLocal: false)
        return switch self {
        case .mock: whole
        case .context(let connection, let name): try await connection.resolving(whole, host: name, settings)
        }
    }
}

extension Setting {
    /// What becomes of a file that is there already. Default: it is replaced.
    public static func overwrite(_ policy: TransferOptions.Overwrite) -> Setting { .set(OverwriteKey.self, to: policy) }

    /// Folders are copied with all that is in them; without it they are an error. Default: `false`.
    public static func recursive(_ isRecursive: Bool = true) -> Setting { .set(RecursiveKey.self, to: isRecursive) }

    /// Permission bits of the files that are written, such as `0o755`. Default: those of the source.
    public static func mode(_ mode: UInt32) -> Setting { .set(ModeKey.self, to: mode) }

    /// All else about copies: owner, times, filters. What leads to the destination is made in any case.
    public static func transfer(_ options: TransferOptions) -> Setting { .set(TransferOptionsKey.self, to: options) }

    /// Is told how far a copy has come.
    public static func onProgress(_ report: @escaping @Sendable (TransferProgress) -> Void) -> Setting {
        .set(ProgressKey.self, to: report)
    }
}

enum OverwriteKey: SettingKey { typealias Value = TransferOptions.Overwrite }
enum RecursiveKey: SettingKey { typealias Value = Bool }
enum ModeKey: SettingKey { typealias Value = UInt32 }
enum TransferOptionsKey: SettingKey { typealias Value = TransferOptions }
enum ProgressKey: SettingKey { typealias Value = @Sendable (TransferProgress) -> Void }
