/// The line that the controller sends after a miss: it looks for a place that can run the image, reports it, takes the
/// missing parts from standard input and starts the agent.
///
/// ```
/// alive                         at once, so that the round trip can be measured
/// ready PLACE ...               -> "ENCODING BYTES\n" and exactly that many bytes, then nothing until the agent speaks
/// want memfd-INTERPRETER        -> MemfdStage's line, which then reports `ready` itself
/// again PLACE:REASON            that place failed; `alive`, `ready`, `want` or `failed` follow
/// failed PLACE:REASON ...       no place is left; the shell ends with status 97
/// lost PLACE:REASON             a place failed and the input cannot be followed any more; the shell ends with status 98
/// start                         the image is executed next; only if the shell outlives that, more follows
/// ```
/// A shell whose input ends early exits with status 98. Whatever happens, an exit trap removes what was begun. Nothing
/// here needs `/dev/null`, which a bare chroot lacks. Every variable begins with an underscore, since changing one that
/// the user exports would change the agent's environment.
package enum SecondStage {
    /// The exit status after a `failed` report.
    package static let noPlaceStatus: Int32 = 97
    /// The exit status when the input ended before the agent could start.
    package static let inputEndedStatus: Int32 = 98
    /// How many images the cache keeps, the one just sent included.
    package static let keptImages = 4

    /// The text to send, newline included.
    ///
    /// - Parameters:
    ///   - image: what the far machine needs.
    ///   - first: the first stage that reported the miss.
    ///   - machine: what that machine calls itself.
    package static func line(image: ImageParts, first: FirstStage, machine: String) -> String {
        let layout = SecondStageLayout(image: image, first: first, cacheName: first.cacheName(machine: machine))
        var places = first.policy.places
        if !image.isDynamic { places += MemfdStage.Interpreter.allCases.map(\.place) }
        let text = [
            functions,
            "_r alive;_z=;for _t in zstd gzip;do [ \"$(command -v $_t)\" ]&&_z=$_z,$_t;done;",
            "for _l in \(places.joined(separator: " "));do ",
            // A stage started again by an interpreter that failed must not try a place twice.
            "case \"$_R \" in *\" $_l:\"*)continue;;esac;_D=;_k=0;case $_l in ",
            first.policy == .disk ? cacheArm : "",
            image.isDynamic ? "" : memfdArm(layout),
            "XDG*)_d=$XDG_RUNTIME_DIR;;TMPDIR)_d=$TMPDIR;;HOME)_d=$HOME;;PWD)_d=$(pwd);;*)_d=$_l;;esac;",
            "[ \"$_d\" ]||{ _b unset;continue;};[ -d \"$_d\" ]||{ _b missing;continue;};",
            first.policy == .memory ? "_m \"$_d\"||{ _b not-ram;continue;};" : "",
            probe(needsKiB: layout.neededKiB),
            layout.linkCached,
            "_r ready $_l $_k \"${_z:-,}\" $_F $_M;",
            first.policy == .disk ? prune(layout) : "",
            receive(layout),
            layout.install,
            // Only bash gets behind a failed exec, and has forgotten the exit trap by then.
            "_r start;_X=1;exec \"$_f\";_X=;_r \"failed$_R $_l:exec-failed\";exit 97;done;_r \"failed$_R\";exit 97",
        ]
        return (first.policy == .memory ? isRAM : "") + text.joined() + "\n"
    }

    /// The line that goes before the bytes of the missing parts.
    ///
    /// - Parameter byteCount: how many bytes follow it: the missing parts in their order, as one (compressed) stream.
    package static func dataLine(encoding: PartEncoding, byteCount: Int) -> String {
        "\(encoding.rawValue) \(byteCount)\n"
    }

    /// `_r` reports, `_b` gives a place up with its reason, `_w` finds the reason in an error's text (`_w TEXT
    /// IF-DENIED OTHERWISE`); dash says "I/O error" for a full disk. `_n` takes the free KiB out of df's words, if df
    /// knows them.
    private static let functions =
        #"_R=$2;_D=;_X=;_r(){ echo "MARTLET-$MARTLET_AGENT $*";};"#
        + #"_b(){ _R="$_R $_l:$1";[ "$_D" ]&&rm -rf "$_D";_D=;};"#
        + #"_w(){ case $1 in *ead-only*)_q=read-only;;*"o space"*|*"I/O error"*)_q=no-space;;*uota*)_q=quota;;"#
        + #"*ermi*)_q=$2;;*)_q=$3;;esac;};"#
        + #"_n(){ _F=-;case ${11}$9 in *[!0-9]*|"");;*)[ $9 -gt 0 ]&&_F=${11};;esac;};"#
        + #"trap '[ "$_D" ]&&rm -rf "$_D";[ "$_X" ]&&_r "failed$_R $_l:exec-failed"' 0;trap "exit 98" 1 2 13 15;"#
        + #"[ "$BASH" ]&&shopt -s execfail;"#

    /// The cache is made only below what belongs to us (`_y`, which is there already): with the caller's HOME or
    /// XDG_CACHE_HOME, as under sudo, a directory of root's would lock the caller out of their own cache, and the caller
    /// could exchange it.
    private static let cacheArm =
        #"cache)_x=$XDG_CACHE_HOME;_c=${_x:-$HOME/.cache};_C=$_c/martlet;_d=$_C;_y=$_C;"#
        + #"[ "$_x$HOME" ]||{ _b unset;continue;};[ "$_x" ]||[ -d "$HOME" ]||{ _b missing;continue;};"#
        + #"until [ -e "$_y/" ];do case $_y in */*)_y=${_y%/*};;*)_y=.;;esac;done;"#
        + #"{ [ "$_x" ]||[ -O "$HOME" ];}&&[ -O "$_y/" ]||{ _b not-ours;continue;};"#
        + #"[ -d "$_C" ]||_e=$(LC_ALL=C mkdir -p -m 700 "$_C" 2>&1)||"#
        + #"{ _w "$_e" not-writable failed;_b $_q;continue;};"#
        + #"[ -O "$_c" ]||{ _b not-ours;continue;};chmod 700 "$_C";_k=1;;"#

    /// An interpreter must be there and run (a shim may name one that is not installed). Its program is asked for only
    /// now: `read` costs a system call a byte.
    private static func memfdArm(_ layout: SecondStageLayout) -> String {
        #"memfd-*)_t=${_l#memfd-};[ "$(command -v $_t)" ]||{ _b absent;continue;};"#
            + #"case $_t in perl)_e=$(perl -e "print 7");;*)_e=$($_t -SEc "print(7)");;esac;"#
            + #"[ "$_e" = 7 ]||{ _b broken;continue;};"#
            + #"_S=\#(layout.executableSize);_r want $_l;read -r _p||exit 98;_X=1;eval "$_p";;"#
    }

    /// Whether a directory is RAM: by `stat`, else by the mount table, else it does not count as RAM.
    private static let isRAM =
        #"_m(){ _t=$(stat -f -c %T "$1");[ "$_t" ]||{ _x=;[ -r /proc/mounts ]||return 1;"#
        + #"_p=$(cd -P "$1"&&pwd -P);while read -r _a _b _y _o;do case $_p/ in "${_b%/}"/*)"#
        + #"[ ${#_b} -ge ${#_x} ]&&_x=$_b&&_t=$_y;;esac;done </proc/mounts;};"#
        + #"case $_t in tmpfs|ramfs)return 0;;esac;return 1;};"#

    /// A directory of our own is the lock (its name cannot be guessed, and mkdir follows no link); a script run in it
    /// tells whether files may be executed there. The image later overwrites the script and so keeps its mode.
    private static func probe(needsKiB: Int) -> String {
        #"_D=$_d/.martlet-$MARTLET_AGENT;_e=$(LC_ALL=C mkdir -m 700 "$_D" 2>&1)||"#
            + #"{ _D=;_w "$_e" not-writable failed;_b $_q;continue;};_f=$_D/image;"#
            + #"_e=$(export LC_ALL=C;{ echo '#!/bin/sh' >"$_f"&&chmod 700 "$_f"&&"$_f";} 2>&1)||"#
            + #"{ _w "$_e" noexec failed;_b $_q;continue;};"#
            + #"_n $(df -Pk "$_D");[ $_F != - ]&&[ $_F -lt \#(needsKiB) ]&&{ _b no-space;continue;};"#
    }

    /// Done while the bytes are under way, if there is more than our own directory and one image. Only names that are images' and files that are ours; what a killed session
    /// left, after a day.
    private static func prune(_ layout: SecondStageLayout) -> String {
        let idLength = layout.cacheName.prefix { $0 != "-" }.utf8.count
        let stale = #"find "$_C" -name ".martlet-*" -prune -mtime +0 -exec rm -rf {} \;"#
        let libraries = #"find "$_C" -name "lib-*" -links 1 -mtime +0 -exec rm -f {} \;"#
        return #"set -- "$_C"/* "$_C"/.martlet-*;[ $_k = 1 ]&&[ $# -gt 2 ]&&{ _j=1;"#
            + #"for _x in $(ls -t "$_C");do _y=${_x%%-*};case $_y in *[!0-9a-f]*)continue;;esac;"#
            + #"[ ${#_y} = \#(idLength) ]&&[ $_x != \#(layout.cacheName) ]&&[ -O "$_C/$_x" ]&&_j=$((_j+1))&&"#
            + #"[ $_j -gt \#(keptImages) ]&&rm -rf "$_C/$_x";done;"#
            + stale + ";" + (layout.isFolder ? libraries + ";" : "") + "};"
    }

    /// `head` may read ahead, which is harmless as nothing follows; a writer that fails leaves the rest to `wc`, so
    /// that the input stands behind the bytes whatever happens. The sizes are compared because a short file would be
    /// run as a shell script.
    ///
    /// Uncompressed bytes that are known to fit go into the file without a pipe in between, which is where a near
    /// machine's time would go. If that fails all the same (a quota), nobody knows how much `head` has read.
    private static func receive(_ layout: SecondStageLayout) -> String {
        let raw = layout.isCareful ? "raw)_u=cat;;" : "raw)_u=cat;[ $_F = - ]||_u=;;"
        let piped = #"_e=$(head -c $_n|{ LC_ALL=C $_u >\#(layout.target)||{ wc -c;false;};} 2>&1)"#
        let direct =
            #"if [ "$_u" ];then \#(piped);else _e=$({ LC_ALL=C head -c $_n >\#(layout.target);} 2>&1)||_y=lost;fi"#
        return #"_y=again;read -r _e _n _x||exit 98;"#
            + #"case $_e in \#(raw)gzip)_u="gzip -dc";;zstd)_u="zstd -dcq";;*)exit 98;;esac;"#
            + #"\#(layout.isCareful ? piped : direct)&&\#(layout.check)||"#
            + #"{ _w "$_e" not-writable damaged;_b $_q;_r $_y $_l:$_q;[ $_y = lost ]&&exit 98;continue;};"#
    }
}
