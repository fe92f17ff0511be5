import MartletReactor
import Testing

@testable import Martlet

/// The words for a bootstrap that failed. That they come is for the suites which fail for real.
@Suite struct ConnectDiagnosisTests {
    private func error(
        _ kind: BootstrapFailure.Kind, _ places: [PlaceFailure], noise: String = "", lines: [String] = []
    ) -> MartletError {
        ConnectDiagnosis.error(
            BootstrapFailure(kind: kind, places: places, noise: Array(noise.utf8)), phase: .boot, exit: .exited(1),
            lines: lines, route: Route())
    }

    @Test func `Where no place takes the image each is listed before what was printed`() {
        let places = [PlaceFailure(place: "cache", reason: "no-space"), PlaceFailure(place: "/tmp", reason: "noexec")]
        let none = error(.noPlace, places, noise: "welcome\n", lines: ["disk full"])
        #expect(none.code == .noPlace && none.message == "no place there takes an executable")
        #expect(none.detail == "cache: no-space\n/tmp: noexec\nwelcome\ndisk full")
        #expect(none.advice == "free some space, or mount one of these without noexec")
        let unfit = error(.noPlace, places + [PlaceFailure(place: "/dev/shm", reason: "exec-failed")])
        #expect(unfit.code == .imageDied && unfit.message.contains("C library"))
        #expect(unfit.detail?.hasSuffix("/dev/shm: exec-failed") == true)
    }

    @Test func `Where no interpreter is there each is listed, and told from one that does not work`() {
        let absent = ["python3", "python"].map { PlaceFailure(place: $0, reason: "absent") }
        let none = error(.noInterpreter, absent)
        #expect(none.code == .noInterpreter)
        #expect(none.message == "the machine has no interpreter for what was to run there")
        #expect(none.detail == "python3: absent\npython: absent")
        #expect(none.advice == "install one of these, or name the one that is there")
        let broken = error(.noInterpreter, absent + [PlaceFailure(place: "python2", reason: "broken")])
        #expect(broken.code == .noInterpreter && broken.message == "no interpreter there can run what was sent")
        #expect(broken.advice?.hasPrefix("mend or install") == true)
    }
}
