import ArgumentParser
import Martlet
import MartletReactor
import MartletSocket

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// `martlet serve`.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Let others in at a socket, as this user, without ssh.",
        discussion: """
            At a Unix socket only this user gets in. A TCP port speaks TLS, and both ends prove who they are: by the same secret, \
            or by certificates. There is no open mode.

              martlet serve --create-secret ~/.martlet-secret
              martlet serve --tls 0.0.0.0:4433 --secret-file ~/.martlet-secret
              martlet run -H 'tls:web1:4433?secret-file=~/.martlet-secret' -- uptime

            What is started ends with its connection, and with this command.
            """
    )

    @Option(help: ArgumentHelp("Listen at this path.", valueName: "path"))
    var unix: String?

    @Option(help: ArgumentHelp("Listen at this address and port; port 0 is any that is free.", valueName: "host:port"))
    var tls: String?

    @OptionGroup var credentials: CredentialOptions

    @Option(help: ArgumentHelp("Serve at most so many at once.", valueName: "number"))
    var sessions = SocketServer.maximumSessions

    @Option(help: ArgumentHelp("Write a new secret to this file, for both ends, and end.", valueName: "file"))
    var createSecret: String?

    @Flag(name: .shortAndLong, help: "Do not tell of each connection.")
    var quiet = false

    func validate() throws {
        guard [unix, tls, createSecret].compactMap({ $0 }).count == 1 else {
            throw ValidationError("one of --unix, --tls and --create-secret says what to do")
        }
        if tls != nil { _ = (try address(), try credentials.credentials()) }
        guard sessions >= 1 else { throw ValidationError("--sessions wants a number of at least 1") }
    }

    private func address() throws -> HostPort {
        guard let address = tls.flatMap(HostPort.init) else {
            throw ValidationError("--tls wants HOST:PORT, such as 0.0.0.0:4433 or [::]:4433")
        }
        return address
    }

    func run() async throws {
        let command = self
        try await Session.run(colour: .auto) { try await command.run($0) }
    }

    private func run(_ session: Session) async throws -> Int32 {
        if let createSecret { return try create(createSecret, session) }
        let log: SocketServer.Log = { [quiet] line in
            if !quiet { session.output.say("martlet serve: \(HarmlessText.of(line))", to: .error) }
        }
        return try await withMartlet { _ in
            let server: SocketServer
            if let unix {
                server = try await SocketServer.start(.unix(unix), sessions: sessions, log: log)
                session.output.say("listening at \(HarmlessText.of(unix))")
            } else {
                let address = try address()
                let credentials = try credentials.credentials()
                server = try await SocketServer.start(
                    .tls(host: address.host, port: address.port, credentials: credentials), sessions: sessions, log: log
                )
                session.output.say("listening at \(HostPort(address.host, server.port ?? address.port))")
            }
            await session.interruption.wait()
            await server.close()
            return ExitStatus.success
        }
    }

    private func create(_ path: String, _ session: Session) throws -> Int32 {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw CommandFailure(
                "cannot make \(HarmlessText.of(path)): \(SystemCalls.errorText(errno))", exitStatus: ExitStatus.failed)
        }
        defer { close(file) }
        let error = SocketCredentials.newSecret().withBytes { writeAll(Array($0) + [0x0a], to: file) }
        guard error == 0, fsync(file) == 0 else {
            unlink(path)
            throw CommandFailure(
                "cannot write \(HarmlessText.of(path)): \(SystemCalls.errorText(error))", exitStatus: ExitStatus.failed)
        }
        session.output.say("wrote a new secret to \(HarmlessText.of(path)); the other end needs the same file")
        return ExitStatus.success
    }
}

/// How two ends of a TLS connection know each other.
struct CredentialOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The secret that both ends know: a file that is yours alone.", valueName: "file"))
    var secretFile: String?

    @Option(help: ArgumentHelp("Our certificate, in PEM form.", valueName: "file"))
    var certificate: String?

    @Option(help: ArgumentHelp("Its private key, in PEM form.", valueName: "file"))
    var key: String?

    @Option(help: ArgumentHelp("Believe certificates that this authority signed.", valueName: "file"))
    var authority: String?

    @Option(help: ArgumentHelp("Believe the one certificate with this SHA-256 fingerprint.", valueName: "digits"))
    var fingerprint: String?

    /// - Throws: `ValidationError` that says what is missing; ``CommandFailure`` for a file that cannot be used.
    func credentials() throws -> SocketCredentials {
        if let secretFile {
            guard certificate == nil, key == nil, authority == nil, fingerprint == nil else {
                throw ValidationError("a secret and certificates do not go together")
            }
            do { return try .secretFile(secretFile) } catch let error as MartletError {
                throw CommandFailure(error.message + (error.advice.map { "; try: \($0)" } ?? ""))
            }
        }
        guard let certificate, let key, (authority == nil) != (fingerprint == nil) else {
            throw ValidationError(
                "--secret-file, or --certificate and --key with --authority or --fingerprint, say who may come in")
        }
        return .certificates(
            .init(chainFile: certificate, keyFile: key, authorityFile: authority, pin: fingerprint))
    }
}
