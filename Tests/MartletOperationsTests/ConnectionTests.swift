import Glibc
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletOperations

@Suite(.leakChecked) struct ConnectionTests {
    /// The number of the agent that runs the commands.
    private func agent(_ settings: Setting...) async throws -> Int {
        let lines = try await withSettings(settings) { try await remote("echo $PPID").lines }
        return try #require(Int(lines[0]))
    }

    @Test func `Who means the same host in the same way shares one context`() async throws {
        try await withScreen(.quiet) { _ async throws in
            let first = try await agent(.host("local"))
            for host in [OperationHost("local"), OperationHost("local:"), OperationHost(.local, name: "mine")] {
                #expect(try await agent(.host(host)) == first)
            }
            #expect(try await agent(.host("local?nice=1")) != first)
            #expect(try await agent(.host("local/local")) != first)
            #expect(try await agent(.host("local/local")) == agent(.host("local/local:")))
            #expect(try await local("echo $PPID").lines == ["\(first)"])
            #expect(try await hostContext(.host("local")) === hostContext(.host("local")))
        }
    }

    @Test func `First uses at once share one connect`() async throws {
        try await withScreen(.quiet, .host("local")) { _ in
            let agents = try await execute(.parallel(atMost: 64), times: 64) { try await remote("echo $PPID").lines[0] }
            #expect(Set(agents).count == 1)
        }
    }

    @Test func `One that is cancelled while it waits takes nobody along, and the last takes the connect along`()
        async throws
    {
        try await TestFolder.with { folder in
            // A way in that waits until it may go on.
            try folder.writeProgram(
                "slow",
                "touch \(folder.file("begun"))-$$; while [ ! -e \(folder.file("go")) ]; do sleep 0.05; done; exec \"$@\""
            )
            try await withScreen(.quiet) { _ async throws in
                let host = OperationHost(.command([folder.file("slow"), "/bin/sh", "-c"]))
                let waiting = Task { try await remote("echo here", .host(host)).lines }
                let impatient = Task { try await remote("echo never", .host(host)) }
                await eventually { folder.count("begun") == 1 }
                impatient.cancel()
                await #expect(throws: CancellationError.self) { try await impatient.value }
                folder.touch("go")
                #expect(try await waiting.value == ["here"])
                #expect(folder.count("begun") == 1)
            }
            try await withScreen(.quiet) { _ async throws in
                try await local(["rm", folder.file("go")])
                let host = OperationHost(.command([folder.file("slow"), "/bin/sh", "-c"]))
                let alone = Task { try await remote("echo never", .host(host)) }
                await eventually { folder.count("begun") == 2 }
                alone.cancel()
                await #expect(throws: CancellationError.self) { try await alone.value }
                await eventually { ProcessTable.carrying(folder.file("slow")).isEmpty }
                // The next one begins anew.
                folder.touch("go")
                #expect(try await remote("echo here", .host(host)).lines == ["here"])
            }
        }
    }

    @Test func `A connect that fails is an error for each who waits, as it is, and the next use tries again`()
        async throws
    {
        try await TestFolder.with { folder in
            try folder.writeProgram(
                "door", "[ -e \(folder.file("open")) ] || { echo closed >&2; exit 9; }; exec \"$@\"")
            try await withScreen(.quiet, .warnOnly) { _ in
                let host = OperationHost(.command([folder.file("door"), "/bin/sh", "-c"]), name: "door")
                let results = try await collect(.parallel, over: [1, 2, 3]) { _ in try await remote("true", .host(host))
                }
                for result in results {
                    let error = #expect(throws: MartletError.self) { try result.get() }
                    #expect(
                        error?.detail?.contains("closed") == true || error?.message.contains("closed") == true,
                        "\(error as Any)")
                }
                folder.touch("open")
                #expect(try await remote("echo in", .host(host)).lines == ["in"])
            }
        }
    }

    @Test func `A context that is lost is connected anew by the next operation`() async throws {
        try await withScreen(.quiet) { _ async throws in
            for host in ["local", "local/local"] as [OperationHost] {
                let first = try await agent(.host(host))
                try await cutOff(first)
                var second = 0
                await eventually {
                    second = try await agent(.host(host))
                    return true
                }
                #expect(second != first && second != 0)
                // Lost in the middle of a command: that is told, and nothing is run twice.
                let error = try await #require(throws: MartletError.self) {
                    try await remote("echo x; kill -9 $PPID; sleep 100", .host(host))
                }
                #expect(error.code == .contextLost)
                #expect(try await agent(.host(host)) != second)
            }
        }
    }

    @Test func `One that is cancelled while it asks whether a context is there takes it from nobody`() async throws {
        try await withScreen(.quiet) { _ async throws in
            let first = try await agent(.host("local/local"))
            // So long without use that it is asked, and it does not answer.
            try await Task.sleep(for: .milliseconds(1200))
            _ = try await runProgram(["kill", "-STOP", "\(first)"])
            let asking = Task { try await remote("true", .host("local/local")) }
            try await Task.sleep(for: .milliseconds(200))
            asking.cancel()
            await #expect(throws: CancellationError.self) { try await asking.value }
            _ = try await runProgram(["kill", "-CONT", "\(first)"])
            #expect(try await agent(.host("local/local")) == first)
        }
    }

    @Test(
        .enabled("needs root, namespaces and FUSE") {
            let obstacle = await ThrowawayMachine.obstacle()
            return obstacle == nil && access("/dev/fuse", F_OK) == 0
        }, .timeLimit(.minutes(2)))
    func `A disk and a list of users that hang over there are an error when a command's time is up`() async throws {
        var configuration = ThrowawayMachine.Configuration()
        // A disk that nobody answers for.
        configuration.setup = """
            mknod /dev/fuse c 10 229; mkdir /mnt/hung; exec 9<>/dev/fuse
            mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 none /mnt/hung
            sleep 86400 &
            """
        try await withThrowawayMachine(configuration) { machine in
            var options = OutputLog().options
            if staticAgent != nil { options = OutputLog().staticOptions }
            try await withMartlet(options) { martlet in
                let context = try await martlet.connect(.command(machine.commandPrefix + ["/bin/sh", "-c"]))
                let limit = Setting.timeout(.milliseconds(300))
                try await withOperations(on: martlet, .host(context), .quiet, limit) { () async throws in
                    #expect(try await remoteFileExists("~root"))
                    let disk = try await operationError(.commandTimedOut) { try await remoteFileExists("/mnt/hung/x") }
                    #expect(disk.message.hasPrefix("looking whether /mnt/hung/x is there was ended"), "\(disk)")
                    #expect(disk.route?.steps == context.route.steps)
                    // Who opens it waits for somebody to write.
                    _ = try await machine.run("mv /etc/passwd /etc/known; mkfifo /etc/passwd")
                    for operation in [
                        { _ = try await remoteFileExists("~joe") }, { try await remote("true", .directory("~joe")) },
                        { try await upload(text: "x", to: "~joe/x") }, { _ = try await downloadText("~joe/x") },
                    ] as [@Sendable () async throws -> Void] {
                        let users = try await operationError(.commandTimedOut) { try await operation() }
                        #expect(users.message.hasPrefix("looking up the home directory ~joe was ended"), "\(users)")
                    }
                }
            }
        }
    }

    private func cutOff(_ agent: Int) async throws {
        _ = try await runProgram(["kill", "-9", "\(agent)"])
        await eventually { ProcessTable.entry(of: Int32(agent)) == nil }
    }

    @Test func `The end of the scope closes its connections, also when it fails`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let agents = Box<[Int]>([])
            try await withOperations(on: martlet, .quiet) {
                agents.change { $0 = [] }
                for host in ["local", "local/local"] as [OperationHost] {
                    let number = try await agent(.host(host))
                    agents.change { $0.append(number) }
                }
            }
            #expect(agents.value.count == 2)
            await eventually { agents.value.allSatisfy { ProcessTable.entry(of: Int32($0)) == nil } }
            await #expect(throws: PlainFailure.self) {
                try await withOperations(on: martlet, .quiet) {
                    let number = try await agent(.host("local"))
                    agents.change { $0 = [number] }
                    throw PlainFailure()
                }
            }
            await eventually { ProcessTable.entry(of: Int32(agents.value[0])) == nil }
        }
    }

    @Test func `A context of the caller's own is used and left alone`() async throws {
        try await withLocalContext(OutputLog().options) { martlet, context in
            // Without any scope too.
            #expect(try await remote("echo hi", .host(context), .quiet).lines == ["hi"])
            try await withOperations(on: martlet, .quiet, .host(context)) { () async throws in
                #expect(try await remote("echo hi").lines == ["hi"])
                #expect(try await hostContext() === context)
            }
            #expect(try await context.run("echo still").lines == ["still"])
        }
    }

    @Test func `Without a host, or without anybody to own it, the error says what to do`() async throws {
        let none = try await operationError(.noHost) { try await remote("true", .quiet) }
        #expect(none.advice?.contains(".host(\"web1\")") == true)
        let nobody = try await operationError(.misuse) { try await remote("true", .quiet, .host("local")) }
        #expect(nobody.advice?.contains("withOperations") == true)
        try await withScreen(.quiet) { _ async throws in
            await #expect(throws: SpecError.self) { try await remote("true", .host("ssh:a?prot=1")) }
        }
    }

    @Test func `Accounts of the settings are for hosts that name none`() throws {
        func ssh(_ host: OperationHost, _ settings: Setting...) throws -> [SSHConnector] {
            try host.connectors(Settings().applying(settings)).compactMap { $0 as? SSHConnector }
        }
        let mine: [Setting] = [.user("joe"), .port(2222), .identity("/k"), .sshConfiguration("/c")]
        let plain = try #require(try ssh("web1", .all(mine)).first)
        #expect(plain.user == "joe" && plain.port == 2222 && plain.identity == "/k" && plain.configuration == "/c")
        let named = try #require(try ssh("ssh:root@web1:22?identity=/own", .all(mine)).first)
        #expect(named.user == "root" || named.host == "root@web1")
        #expect(named.port == 22 && named.identity == "/own")
        let chain = try ssh("ssh:bastion/ssh:db1", .all(mine))
        #expect(chain.map(\.user) == [nil, "joe"])
        #expect(chain.map(\.configuration) == ["/c", nil])
        #expect(try ConnectionKey("web1".connectors()) == ConnectionKey("ssh:web1".connectors()))
        #expect(try ConnectionKey("web1".connectors(.user("joe"))) != ConnectionKey("web1".connectors()))
    }
}

extension String {
    fileprivate func connectors(_ settings: Setting...) throws -> [any Connector] {
        try OperationHost(self).connectors(Settings().applying(settings))
    }
}
