import Foundation
import MartletTestKit
import Testing

/// `martlet with` and `martlet forward`.
@Suite(.leakChecked) struct WithTests {
    private static let hasRsync = FileManager.default.isExecutableFile(atPath: "/usr/bin/rsync")

    @Test(.enabled(if: MartletProgram.hasServer && hasRsync, "needs OpenSSH's server and rsync"))
    func `Tools run through ssh and sudo, by one name and by several`() async throws {
        try await withThrowawaySSHD { sshd in
            let result = try await MartletProgram.shell(
                #"""
                d=$(mktemp -d); trap 'rm -rf "$d"' EXIT; cd "$d"
                mkdir a; head -c 300000 /dev/urandom >a/large; echo small >'a/s p'
                with() { "$martlet" with -F "$config" "$@"; }
                with "$host/sudo" -- rsync -a a/ "any:$d/b/" && diff -r a b && echo put
                with "$host" rsync -a "any:$d/b/" c/ && diff -r a c && echo got
                with one="$host" two=local -- scp -3q "one:$d/a/large" "two:$d/large" && cmp a/large large && echo between
                with "$host" -- sh -c 'ssh x "exit 6"; echo $?; echo in | ssh y cat'
                with "$host" -- sh -c 'kill -9 $$'; echo $?
                with "$host" -- sh -c 'ssh x "kill -9 \$\$"; exit 3' 2>/dev/null; echo $?
                """#, environment: ["config": sshd.configPath, "host": sshd.hostAlias], within: .seconds(120))
            #expect(result.output == "put\ngot\nbetween\n6\nin\n137\n3\n", "\(result.output)\(result.errors)")
        }
    }

    @Test func `What goes wrong has its status and its words`() async throws {
        let cases: [([String], Int32, String)] = [
            ([], 64, "name a host"), (["local"], 64, "name a tool"),
            (["--nope", "local", "x"], 64, "unknown option --nope"),
            (["a=local", "a=local", "--", "x"], 64, "a is there twice"), (["a b", "--", "x"], 64, "host"),
            (["local", "--", "no-such-tool"], 127, "no-such-tool"),
            (["local", "--", "/etc/passwd"], 126, "Permission denied"),
            (["one=local", "--", "ssh", "two", "true"], 255, "ssh: Could not resolve hostname two"),
            (["sshd.invalid", "--", "true"], 3, "there is no host called sshd.invalid"),
        ]
        for (words, status, text) in cases {
            let result = try await MartletProgram.run(["with"] + words)
            #expect(result.exitCode == status, "\(words): \(result.errors)")
            #expect(result.errors.contains(text), "\(words): \(result.errors)")
        }
    }

    @Test(arguments: ["KILL", "TERM"])
    func `When martlet is killed, the tool and the far command end`(_ signal: String) async throws {
        let marker = "86400.\(UInt32.random(in: 100_000_000...999_999_999))"
        let result = try await MartletProgram.shell(
            #"""
            "$martlet" with local -- sh -c 'ssh x "echo up; exec sleep \#(marker)"; echo "$?" >&2; exit 5' >out.$$ 2>err.$$ & p=$!
            trap 'rm -f out.$$ err.$$' EXIT
            n=0; while ! grep -q up out.$$; do sleep 0.05; n=$((n + 1)); [ $n -lt 400 ] || exit 99; done
            kill -\#(signal) $p; wait $p; echo $?
            """#, environment: ["TMPDIR": NSTemporaryDirectory()], within: .seconds(60))
        #expect(result.output == (signal == "KILL" ? "137\n" : "143\n"), "\(result.errors)")
        await eventually("the end of all") { ProcessTable.carrying(marker).isEmpty }
    }

    @Test func `Who stops reading the tool's output is the tool's matter`() async throws {
        let result = try await MartletProgram.shell(
            #"""
            { "$martlet" with local -- python3 -c '
            import select
            reader = select.poll(); reader.register(1, 0)
            exit(5 if reader.poll(20000) else 6)'; echo $? >&2; } | true
            """#)
        #expect(result.errors == "5\n")
    }

    @Test func `Each signal is the tool's, and so is the exit status; nothing that was lent stays`() async throws {
        let result = try await MartletProgram.shell(
            #"""
            d=$(mktemp -d); trap 'rm -rf "$d"' EXIT; mkdir "$d/tmp"; export XDG_RUNTIME_DIR="$d/tmp" TMPDIR="$d/tmp"
            until_has() { n=0; while ! grep -q "$1" "$d/out"; do sleep 0.05; n=$((n + 1)); [ $n -lt 400 ] || exit 99; done; }
            : >"$d/out"
            { "$martlet" with local -- sh -c 'for s in TERM HUP; do trap "echo got $s >$0" $s; done; trap "exit 7" USR1
                echo "pid $$" >$0; while :; do sleep 0.05; done' "$d/out" & echo $! >"$d/pid"; wait $!; echo $? >&2; } | true &
            until_has pid; tool=$(cut -d' ' -f2 "$d/out"); [ -n "$(ls "$d/tmp")" ] || echo nothing is lent >&2
            for signal in TERM HUP TERM HUP; do
                : >"$d/out"; kill -$signal "$(cat "$d/pid")"; until_has "got $signal"
            done
            kill -USR1 "$tool"; wait; ls "$d/tmp" >&2
            """#)
        #expect(result.exitCode == 0 && result.errors == "7\n", "\(result.errors)")
    }

    @Test func `Ports are forwarded until Ctrl-C`() async throws {
        let result = try await MartletProgram.shell(
            #"""
            d=$(mktemp -d); trap 'rm -rf "$d"' EXIT; cd "$d"
            cat >server.py <<'END'
            import socket, sys
            s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(5)
            print(s.getsockname()[1], flush=True)
            for _ in range(2):
                c = s.accept()[0]
                b = b""
                while True:
                    d = c.recv(65536)
                    if not d: break
                    b += d
                c.sendall(b.upper()); c.close()
            END
            cat >client.py <<'END'
            import socket, sys
            c = socket.socket(socket.AF_UNIX) if sys.argv[1][0] == "/" else socket.socket()
            c.settimeout(20)
            c.connect(sys.argv[1] if sys.argv[1][0] == "/" else ("127.0.0.1", int(sys.argv[1])))
            c.sendall(b"word " * 50000); c.shutdown(1)
            b = b""
            while True:
                d = c.recv(65536)
                if not d: break
                b += d
            print(len(b), b[:5])
            END
            until_has() { n=0; while ! grep -q "$1" "$2"; do sleep 0.05; n=$((n + 1)); [ $n -lt 400 ] || { cat "$2" err >&2; exit 99; }; done; }
            python3 server.py >port & s=$!
            until_has . port; port=$(cat port)
            env --default-signal=INT "$martlet" forward local -L "0:127.0.0.1:$port" -R "$d/door:localhost:$port" -L 0:127.0.0.1:1 >out 2>err & p=$!
            until_has door out
            there=$(sed -n '1s/^localhost:\([0-9]*\) here.*/\1/p' out)
            refused=$(sed -n '2s/^localhost:\([0-9]*\) here.*/\1/p' out)
            python3 client.py "$there"
            python3 client.py "$d/door"
            wait $s
            python3 client.py "$refused" 2>/dev/null
            until_has refused err
            sed 's/from 127.0.0.1:[0-9]*/from X/' err
            kill -INT $p; wait $p; echo $?
            python3 client.py "$there" 2>/dev/null || echo closed
            [ -e "$d/door" ] || echo gone
            """#, within: .seconds(90))
        let lines = result.outputLines
        #expect(lines.count == 6, "\(result.output)\n\(result.errors)")
        guard lines.count == 6 else { return }
        #expect(lines[0] == "250000 b'WORD '")
        #expect(lines[1] == "250000 b'WORD '")
        #expect(
            lines[2]
                == "martlet: connection from X to 127.0.0.1:1: 127.0.0.1:1: Connection refused [controller → local]")
        #expect(Array(lines[3...]) == ["130", "closed", "gone"])
    }

    @Test func `What listens there and is lost ends it, and is told`() async throws {
        let result = try await MartletProgram.shell(
            #"""
            d=$(mktemp -d); trap 'rm -rf "$d"' EXIT; cd "$d"
            "$martlet" forward local -R 0:localhost:1 >out 2>err & p=$!
            n=0; while ! grep -q localhost out; do sleep 0.05; n=$((n + 1)); [ $n -lt 400 ] || exit 99; done
            kill -KILL $(ps -o pid= --ppid $p); wait $p; echo $?; cat err
            """#)
        #expect(result.output.hasPrefix("3\nmartlet: the forwarding of localhost:0 has ended: "), "\(result.output)")
    }

    @Test(arguments: [
        ["local"], ["local", "-L", "x"], ["local", "-L", "1:2"], ["local", "-L", "1:h:0"],
        ["local", "-L", "70000:h:1"],
        ["local", "-R", "[::1:1:h:2"], ["local", "-L", "a:1:b:2:3"], ["a b", "-L", "1:h:2"],
    ])
    func `Wrong places are told as wrong usage`(_ arguments: [String]) async throws {
        let result = try await MartletProgram.run(["forward"] + arguments)
        #expect(result.exitCode == 64, "\(arguments): \(result.errors)")
    }
}
