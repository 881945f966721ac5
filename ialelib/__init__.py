"""Active learning with learned policies: IALE (Löffler & Mutschler, JMLR 23(107), 2022).

    import ialelib as iale

    batch = iale.next_batch(classifier, images, labelled, labels, acq=10)   # your own pool
    batch = iale.next_batch(embeddings=embeddings, labelled=labelled, labels=labels, acq=10)
    print(iale.rehearse(embeddings, labelled, labels))                      # does it pay?
    policy, history = iale.train_policy(data, iale.DaggerConfig())          # Algorithm 1
    curves = iale.compare(data, iale.CycleConfig(), ["random", "badge"], seeds=range(10))
    iale.paired_tests(curves)                                               # AUBC, gain, p

The core, in reading order; each module imports only from those before it:

    data          load_data, toy_gaussians, DataSet; the pool of a cycle             Sec. 4.1
    models        classifiers that return logits and an embedding; dropout           Sec. 4.1
    recipes       how long and how fast a classifier is trained                      Sec. 4.2
    probe         softmax regression on embeddings, many labelled sets at once
    training      fit, fit_many, predict
    greedy        k-centre and k-means++, the greedy parts of CoreSet and BADGE      A.1.1
    coverage      greedy cover by a kernel: MaxHerding, UHerding
    clusters      k-means: TypiClust, the last step of DropQuery
    fisher        BAIT in rank-one form
    experts       random, entropy, confidence, mc_dropout, ensemble, coreset, badge  A.1.1, Eqs. 3-4
                  margin, typiclust, coverage, uherding, dropquery, bait
    oracle        the best of many batches by their true labels: an upper line
    state         what the policy sees: encode                                       Sec. 3.2, Eq. 1
    features      what the generalist knows of a candidate, given the batch so far
    generalist    a policy for any classifier, width, number of classes and pool
    policy        the policy network, its loss, fit_policy, load_policy              Sec. 3.2, Eq. 2
    cycle         run_cycle: one active-learning cycle with any strategy             Sec. 3.1
    rollout       the record of an episode, and the examples to learn from it        Sec. 3.3
    dagger        train_policy: Algorithm 1; best_expert: its line 7                 Sec. 3.3
    metrics       aubc, paired_tests, penalty_matrix, mean_ranks                     Sec. 4
    results       publish: tables and policies with their provenance

Rooms around it:

    inference     next_batch for your own pool; embeddings by backbones; scikit-activeml
    search        how the generalist is trained: tasks, imitation, policy search
    experiments   compare, rehearse, proof; overlap, sizes, run time, training cost, ALIL
    plots         every figure
    params        the notebooks' parameters
    runner        checks and runs the notebooks of a profile, and shows them as a gallery
    demo          Figure 1 to play with
    labelling     label your own images by hand
    kernels       fast training of the CNN, behind one function
    utils         seeds, files, cache, errors
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        *("data", "models", "recipes", "probe", "training", "greedy", "coverage", "clusters"),
        *("fisher", "experts", "oracle", "state", "features", "generalist", "policy", "cycle"),
        *("rollout", "dagger", "metrics", "results"),
        *("inference", "search", "experiments", "plots", "params", "runner", "demo", "labelling"),
        *("kernels", "utils"),
    ],
    submod_attrs={
        "data": ["DataSet", "load_data", "toy_gaussians"],
        "training": ["fit", "fit_many", "predict"],
        "experts": ["EXPERTS", "Query"],
        "generalist": ["Generalist"],
        "policy": ["Policy", "load_policy", "save_policy"],
        "cycle": ["Cycle", "CycleConfig", "run_cycle"],
        "dagger": ["DaggerConfig", "train_policy"],
        "metrics": ["aubc", "check_curves", "paired_tests"],
        "results": ["publish", "publish_policy"],
        "inference": ["next_batch"],
        "experiments": ["compare", "rehearse"],
        "demo": ["toy_demo"],
        "labelling": ["LabelStore", "Labeller"],
        "utils.cache": ["read_table"],
        "utils.errors": ["InputError"],
        "utils.files": ["project"],
    },
)
