import MartletTestKit
import Testing

/// `martlet serve`, and who comes in.
@Suite(.leakChecked) struct ServeTests {
    /// Runs a script in a new directory, in which `serve WORDS…` starts a server and sets `at` to where it listens.
    private func script(_ text: String) async throws -> ProgramResult {
        let prelude = #"""
            set -u
            cd "$(mktemp -d)"
            trap 'kill $server 2>/dev/null; cd /; rm -rf "$OLDPWD"' EXIT
            server=
            serve() {
                "$martlet" serve "$@" >out 2>err &
                server=$!
                n=0
                until grep -q listening out; do
                    n=$((n + 1)); [ $n -lt 200 ] || { cat err >&2; exit 99; }
                    sleep 0.1
                done
                at=$(sed 's/listening at //' out)
            }
            finish() { kill "$server"; wait "$server"; echo "served: $?"; }

            """#
        return try await MartletProgram.shell(prelude + text, within: .seconds(120))
    }

    @Test func `A secret lets in, another does not`() async throws {
        let result = try await script(
            #"""
            "$martlet" serve --create-secret mine
            stat -c %a mine
            wc -c <mine
            "$martlet" serve --create-secret mine 2>/dev/null || echo "kept $?"
            "$martlet" serve --create-secret other >/dev/null
            serve --tls 127.0.0.1:0 --secret-file mine
            "$martlet" run --no-prefix -H "tls:$at?secret-file=mine" -- 'echo in; exit 5'
            echo "status $?"
            "$martlet" run -H "tls:$at?secret-file=other" -- 'echo never' 2>refused
            echo "status $?"
            grep -c 'do not know each other' refused
            "$martlet" ping -H "tls:$at?secret-file=mine/local" >/dev/null && echo deeper
            finish
            grep -c 'session . begins' err
            grep -c 'not let in' err
            """#)
        #expect(
            result.outputLines.dropFirst() == [
                "600", "65", "kept 1", "in", "status 1", "status 3", "1", "deeper", "served: 143", "2", "1",
            ], "\(result.output)\(result.errors)")
    }

    @Test func `At a path only this user gets in`() async throws {
        let result = try await script(
            #"""
            serve --unix ./socket
            stat -c %a socket
            "$martlet" run --no-prefix -H "unix:$PWD/socket" -- 'echo in'
            "$martlet" serve --unix ./socket 2>/dev/null
            echo "status $?"
            finish
            [ -e socket ] || echo gone
            """#)
        #expect(
            result.outputLines == ["600", "in", "status 1", "served: 143", "gone"], "\(result.output)\(result.errors)")
    }

    @Test(arguments: [
        (["serve"], "one of --unix, --tls and --create-secret"),
        (["serve", "--tls", "127.0.0.1:0"], "say who may come in"),
        (["serve", "--tls", "4433", "--secret-file", "/dev/null"], "wants HOST:PORT"),
        (["serve", "--tls", ":0", "--secret-file", "/no/file"], "wants HOST:PORT"),
        (["run", "-H", "tls:h:1", "--", "true"], "nothing says how both ends know each other"),
        (["run", "-H", "tls:h?secret-file=/x", "--", "true"], "a port from 1 to 65535"),
        (["run", "-H", "tls:h:1?password=x", "--", "true"], "never stands in a spec"),
        (["run", "-H", "local", "--sudo-password-file", "/etc/hostname", "--", "true"], "open to others"),
    ])
    func `There is no open mode, and no half said one`(arguments: [String], words: String) async throws {
        let result = try await MartletProgram.run(arguments)
        #expect(result.exitCode == 64)
        #expect(result.errors.contains(words), "\(result.errors)")
    }
}
