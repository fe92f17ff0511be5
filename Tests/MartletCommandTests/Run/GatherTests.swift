import Foundation
import MartletTestKit
import Testing

/// `-b` and `--diff`.
@Suite(.leakChecked) struct GatherTests {
    @Test func `Equal outputs are printed once, under the names of who has them`() async throws {
        let hosts = "local?nice=1,local?nice=1,local?nice=2"
        let same = try await MartletProgram.run([
            "run", "-b", "-H", "local,local,local", "--", "echo a; echo e >&2; echo b",
        ])
        #expect(
            same.exitCode == 0 && same.output == "local,local#[2-3]:\n  a\n  b\n"
                || same.output == "local#[1-3]:\n  a\n  b\n", "\(same.output)")
        #expect(same.errors.contains("local#1: e\n") && same.errors.contains("3 hosts: 3 succeeded in "))
        let apart = try await MartletProgram.run(["run", "--gather", "-H", hosts, "--", "nice"])
        #expect(
            apart.output.contains(" (2 hosts):\n  1\n") && apart.output.hasSuffix(" (1 host):\n  2\n"),
            "\(apart.output)")
        let failed = try await MartletProgram.run(["run", "-b", "-H", hosts, "--", "test $(nice) = 1"])
        #expect(failed.exitCode == 1 && failed.output.hasSuffix(":\n  (nothing)\n"), "\(failed.output)")
        #expect(failed.errors.contains("3 hosts: 2 succeeded, 1 failed in "))
    }

    @Test func `Of what most hosts do not have only the difference is shown`() async throws {
        let result = try await MartletProgram.run([
            "run", "--diff", "-H", "local?nice=1,local?nice=1,local?nice=2", "--", "echo a; nice; echo b",
        ])
        #expect(result.output.contains(" (2 hosts):\n  a\n  1\n  b\n"), "\(result.output)")
        #expect(result.output.hasSuffix(" (1 host):\n  @@ -1,3 +1,3 @@\n   a\n  -1\n  +2\n   b\n"), "\(result.output)")
    }

    @Test func `What cannot be gathered says so`() async throws {
        for option in ["--json", "--no-prefix"] {
            let result = try await MartletProgram.run(["run", "-b", option, "-H", "local", "--", "true"])
            #expect(result.exitCode == 64 && result.errors.contains("--gather"), "\(result.errors)")
        }
    }

    @Test func `Of an output without end only so much is kept, and that is said`() async throws {
        let result = try await MartletProgram.run(
            ["run", "-b", "-H", "local", "--", "yes 0123456789abcdef | head -c 20000000"])
        #expect(result.exitCode == 0 && result.output.utf8.count < 20_000_000)
        #expect(result.output.hasSuffix(" MB more, which were not kept)\n"), "\(result.output.suffix(100))")
    }
}
