import Martlet
import Testing

@testable import MartletCommand

@Suite struct HostNameTests {
    @Test(
        arguments: [
            ("web1", nil, "web1", nil), ("root@web1", "root", "web1", nil), ("web1:2222", nil, "web1", 2222),
            ("a@b@web1:22", "a@b", "web1", 22), ("[::1]:22", nil, "::1", 22),
            ("[fe80::1%eth0]", nil, "fe80::1%eth0", nil),
            ("x@[::1]:65535", "x", "::1", 65535), ("::1", nil, "::1", nil), ("10.0.0.1", nil, "10.0.0.1", nil),
            ("münchen", nil, "münchen", nil), (#"DOMAIN\joe@web1"#, #"DOMAIN\joe"#, "web1", nil),
        ] as [(String, String?, String, UInt16?)])
    func `A host has a user, a name and a port`(_ text: String, user: String?, name: String, port: UInt16?) throws {
        let host = try HostName(text)
        #expect(host.route.hops.count == 1)
        let ssh = try #require(host.route.hops[0].connector as? SSHConnector)
        #expect((ssh.user, ssh.host, ssh.port) == (user, name, port))
        #expect(host.label == text)
    }

    @Test(arguments: [
        "", " ", "-oProxyCommand=x", "a b", "a;b", "$(x)", "web1:", "web1:0", "web1:65536", "web1:+22", "web1:2x",
        "@web1",
        "-x@web1", "a b@web1", "a`b@web1", "[web1]", "[::1", "[::1]x", "[::1]:", "web[1-3]", "web/1", "web\n1",
        "web\u{1b}",
        "1:2:zz",
    ])
    func `What is no name of a host is refused`(_ text: String) {
        #expect(throws: SpecError.self) { try HostName(text) }
    }

    @Test func `A refused name is shown without its control characters`() {
        #expect { try HostName("a\u{1b}[31m") } throws: { !"\($0)".unicodeScalars.contains("\u{1b}") }
    }

    @Test func `Hosts that are named twice have different labels`() throws {
        let hosts = Host.list(try ["a", "b", "a"].map { try HostName($0) })
        #expect(hosts.map(\.label) == ["a#1", "b", "a#2"])
        #expect(hosts.map(\.index) == [0, 1, 2])
        // What is not shown does not tell them apart.
        let options = Host.list(try ["local?nice=1", "local?nice=2"].map { try HostName($0) })
        #expect(options.map(\.label) == ["local#1", "local#2"])
    }

    @Test func `Options of the command line are defaults for ssh, files only where ssh runs here`() throws {
        let way = WayIn(
            via: try RouteSpec("ops@bastion?option=A=1"), user: "deploy", identity: "k", configuration: "c",
            options: ["A=2"])
        let host = try HostName("ssh:web1?identity=own/local")
        let connectors = way.connectors(to: host)
        #expect(connectors.map(\.label) == ["ssh:ops@bastion", "ssh:deploy@web1", "local"])
        let ssh = connectors.compactMap { $0 as? SSHConnector }
        #expect(ssh.map(\.identity) == ["k", "own"])
        #expect(ssh.map(\.configuration) == ["c", nil])
        #expect(ssh.map(\.options) == [["A=1", "A=2"], ["A=2"]])
        #expect(way.startsSSHHere(to: host))
        #expect(!WayIn().startsSSHHere(to: try HostName("local/local")))
        let here = WayIn(configuration: "c").connectors(to: try HostName("local/ssh:web1"))
        #expect((here[1] as? SSHConnector)?.configuration == "c")
    }
}
