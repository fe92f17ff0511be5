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
        #expect((host.user, host.name, host.port) == (user, name, port))
    }

    @Test(arguments: [
        "", " ", "-oProxyCommand=x", "a b", "a;b", "$(x)", "web1:", "web1:0", "web1:65536", "web1:+22", "web1:2x",
        "@web1",
        "-x@web1", "a b@web1", "a`b@web1", "[web1]", "[::1", "[::1]x", "[::1]:", "web[1-3]", "web/1", "web\n1",
        "web\u{1b}",
        "1:2:zz",
    ])
    func `What is no name of a host is refused`(_ text: String) {
        #expect(throws: CommandFailure.self) { try HostName(text) }
    }

    @Test func `A refused name is shown without its control characters`() {
        #expect { try HostName("a\u{1b}[31m") } throws: { !"\($0)".unicodeScalars.contains("\u{1b}") }
    }

    @Test func `Hosts that are named twice have different labels`() throws {
        let hosts = Host.list(try ["a", "b", "a"].map { try HostName($0) })
        #expect(hosts.map(\.label) == ["a#1", "b", "a#2"])
        #expect(hosts.map(\.index) == [0, 1, 2])
    }
}
