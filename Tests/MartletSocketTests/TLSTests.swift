import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletSocket

@Suite(.startsNIO, .leakChecked) struct TLSTests {
    private func with(
        _ credentials: SocketCredentials,
        _ body: @Sendable (UInt16, ServerLog, SocketServer, Controller) async throws -> Void
    ) async throws {
        let log = ServerLog()
        try await withMartlet(quiet()) { martlet in
            let server = try await SocketServer.start(
                .tls(host: "127.0.0.1", port: 0, credentials: credentials), log: log.append)
            do { try await body(try #require(server.port), log, server, martlet) } catch {
                await server.close()
                throw error
            }
            await server.close()
        }
    }

    @Test func `Who has the secret gets in, and the context ends with its connection`() async throws {
        let secret = SocketCredentials.newSecret()
        try await with(.sharedSecret(secret)) { port, log, _, martlet in
            let context = try await martlet.connect(.tls("127.0.0.1", port: port, credentials: .sharedSecret(secret)))
            #expect(context.route.steps.last == "tls:127.0.0.1:\(port)")
            try await expectWorks(context)
            let many = try await withThrowingTaskGroup(of: Context.self) { group in
                for _ in 1...8 {
                    group.addTask {
                        try await martlet.connect(.tls("localhost", port: port, credentials: .sharedSecret(secret)))
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for context in many { try await expectWorks(context) }
            let pids = ([context] + many).map(\.facts.processID)
            await context.close()
            for context in many { await context.close() }
            await eventually { pids.allSatisfy { ProcessTable.entry(of: $0) == nil } }
            await eventually { log.all.filter { $0.contains("has ended") || $0.contains("ended:") }.count == 9 }
        }
    }

    @Test func `Who has another secret does not, and waits longer and longer`() async throws {
        try await with(.sharedSecret(SocketCredentials.newSecret())) { port, log, _, martlet in
            let wrong = SocketCredentials.sharedSecret(SocketCredentials.newSecret())
            func refused() async throws {
                let error = try await expectError(.authenticationFailed) {
                    try await martlet.connect(.tls("127.0.0.1", port: port, credentials: wrong))
                }
                #expect(error.message.contains("do not know each other"))
                #expect(error.phase == .authenticate)
            }
            for _ in 1...4 { try await refused() }
            // The server writes its books after the client has heard.
            await eventually { log.all.filter { $0.contains("not let in") }.count == 4 }
            try await refused()
            await eventually { log.has("turned away after too many failures") }
            #expect(!log.has("begins"))
        }
    }

    @Test func `Plain text and silence get nothing`() async throws {
        try await with(.sharedSecret(SocketCredentials.newSecret())) { port, log, _, _ async throws in
            let script = """
                import socket,sys
                s=socket.create_connection(("127.0.0.1",int(sys.argv[1])),20); s.sendall(sys.argv[2].encode())
                out=b""
                try:
                    while True:
                        part=s.recv(4096)
                        if not part: break
                        out+=part
                except OSError: pass
                print(b"shell" in out or b"hello" in out)
                """
            #expect(
                try await runProgram(["python3", "-c", script, "\(port)", "martlet-shell 1 echo hello\n"]).output
                    == "False\n")
            #expect(try await runProgram(["python3", "-c", script, "\(port)", ""]).output == "False\n")
            await eventually { log.all.filter { $0.contains("not let in") }.count == 2 }
            #expect(!log.has("begins"))
        }
    }

    @Test func `A secret of another length is none`() async throws {
        try await expectError(.misuse) {
            try await SocketServer.start(.tls(host: "127.0.0.1", port: 0, credentials: .sharedSecret(Secret("1234"))))
        }
        #expect(SocketCredentials.newSecret() != SocketCredentials.newSecret())
    }

    @Test func `Nobody there is unreachable`() async throws {
        try await withMartlet(quiet()) { martlet in
            let credentials = SocketCredentials.sharedSecret(SocketCredentials.newSecret())
            let error = try await expectError(.unreachable) {
                try await martlet.connect(.tls("127.0.0.1", port: 1, credentials: credentials))
            }
            #expect(error.message.contains("Connection refused"))
            #expect(error.advice?.contains("martlet serve") == true)
        }
    }

    @Test func `The triangle: a server installed through a context is then a way of its own`() async throws {
        let credentials = SocketCredentials.sharedSecret(SocketCredentials.newSecret())
        try await withMartlet(quiet()) { martlet in
            let gateway = try await martlet.connect(.local)
            let port = try await gateway.serve(host: "127.0.0.1", credentials: credentials)
            let direct = try await martlet.connect(.tls("127.0.0.1", port: port, credentials: credentials))
            try await expectWorks(direct)
            #expect(direct.route.steps == ["tls:127.0.0.1:\(port)"])
            // Any context may use it, too.
            let other = try await martlet.connect(.local)
            try await expectWorks(try await other.connect(.tls("127.0.0.1", port: port, credentials: credentials)))
            try await gateway.stopServing(port)
            await eventually { ProcessTable.entry(of: direct.facts.processID) == nil }
            await #expect(throws: MartletError.self) { try await direct.run("true") }
            try await expectError(.taskFailed) { try await gateway.stopServing(port) }
        }
    }

    // MARK: Certificates

    private func certificates(_ directory: String) async throws {
        let script = """
            cd "$1"; exec 2>/dev/null
            make() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" -keyout $1.key -out $1.pem; }
            make server; make client; make stranger; make ca
            sign() {
                openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout $1.key -out $1.csr
                printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' >$1.ext
                openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem
            }
            sign signed-server; sign signed-client
            for name in server client; do openssl x509 -in $name.pem -noout -fingerprint -sha256 | sed 's/.*=//' >$name.pin; done
            """
        let result = try await runProgram(["sh", "-c", script, "certificates", directory])
        #expect(result.exitCode == 0)
    }

    @Test func `Certificates, pinned or signed: each end proves itself`() async throws {
        try await TestFolder.with(permissions: 0o700) { try await certificatesProve($0.path) }
    }

    private func certificatesProve(_ directory: String) async throws {
        try await certificates(directory)
        let path = { (name: String) in "\(directory)/\(name)" }
        let pin = { (name: String) in
            try String(contentsOfFile: path(name + ".pin"), encoding: .utf8).trimmingCharacters(
                in: .whitespacesAndNewlines)
        }
        func credentials(_ name: String, authority: String? = nil, pin: String? = nil) -> SocketCredentials {
            .certificates(
                .init(
                    chainFile: path(name + ".pem"), keyFile: path(name + ".key"),
                    authorityFile: authority.map { path($0 + ".pem") }, pin: pin))
        }
        let (serverPin, clientPin) = (try pin("server"), try pin("client"))
        let (mine, other, confused) = (
            credentials("client", pin: serverPin), credentials("stranger", pin: serverPin),
            credentials("client", pin: clientPin)
        )
        try await with(credentials("server", pin: clientPin)) { port, _, _, martlet in
            try await expectWorks(try await martlet.connect(.tls("127.0.0.1", port: port, credentials: mine)))
            try await expectError(.authenticationFailed) {
                try await martlet.connect(.tls("127.0.0.1", port: port, credentials: other))
            }
            let error = try await expectError(.authenticationFailed) {
                try await martlet.connect(.tls("127.0.0.1", port: port, credentials: confused))
            }
            #expect(error.message.contains("certificate was not accepted"))
        }
        let signed = credentials("signed-client", authority: "ca")
        let unsigned = credentials("stranger", authority: "ca")
        try await with(credentials("signed-server", authority: "ca")) { port, _, _, martlet in
            try await expectWorks(try await martlet.connect(.tls("localhost", port: port, credentials: signed)))
            await #expect(throws: MartletError.self) {
                try await martlet.connect(.tls("localhost", port: port, credentials: unsigned))
            }
        }
        let both = credentials("client", authority: "ca", pin: serverPin)
        try await expectError(.misuse) {
            try await SocketServer.start(.tls(host: "127.0.0.1", port: 0, credentials: both))
        }
    }
}
